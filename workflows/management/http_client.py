"""Requests of the command line to a running server."""

from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import msgspec
from django.core.management.base import CommandError

from nodetool_site.lib.rendering import JSON_TYPE, encode_json

Json = dict[str, Any]
TIMEOUT_S = 30


class ApiClient:
    """One server and the token that says who is asking."""

    def __init__(self, url: str, token: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise CommandError(f"--api-url needs http:// or https://, not {url}")
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": JSON_TYPE}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def request(self, method: str, path: str, body: object = None) -> Json:
        """Return the JSON answer.

        Raises:
            CommandError: the server refuses, and says why, or does not answer.
        """
        status, answer = self._send(method, path, body)
        if status >= 400:
            raise CommandError(_reason(status, answer))
        return answer

    def find(self, path: str) -> Json | None:
        """Return the object at ``path``, None if there is none.

        Raises:
            CommandError: as ``request`` does.
        """
        status, answer = self._send("GET", path, None)
        if status == 404:
            return None
        if status >= 400:
            raise CommandError(_reason(status, answer))
        return answer

    def _send(self, method: str, path: str, body: object) -> tuple[int, Json]:
        data = None if body is None else encode_json(body)
        request = Request(  # noqa: S310 - the scheme is checked above
            self._url + path, data=data, headers=self._headers, method=method
        )
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                return response.status, msgspec.json.decode(response.read())
        except HTTPError as error:
            with error:
                return error.code, _decode(error.read())
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            raise CommandError(f"No answer from {self._url}: {error}") from error
        except msgspec.DecodeError as error:
            raise CommandError(f"{self._url} does not answer in JSON") from error


def _decode(body: bytes) -> Json:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _reason(status: int, answer: Json) -> str:
    problems = [str(entry.get("msg")) for entry in answer.get("errors", ())]
    text = "; ".join((str(answer.get("detail", "refused")), *problems))
    return f"{text} (HTTP {status})"
