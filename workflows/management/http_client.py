"""Requests of the command line to a running server."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec
from django.core.management.base import CommandError

from nodetool_site.lib.rendering import JSON_TYPE, encode_json

Json = dict[str, Any]
TIMEOUT_S = 30
LONG_TIMEOUT_S = 180
PIECE = 128 * 1024


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

    def download(self, path: str, file: BinaryIO) -> bool:
        """Write what is at ``path`` to a file; False: there is nothing.

        Raises:
            CommandError: as ``request`` does; then the file holds a part at most.
        """
        request = self._request("GET", path, None, self._headers)
        status, answer = self._exchange(request, partial(_copy, to=file))
        if status >= 400 and status != 404:
            raise CommandError(_reason(status, answer))
        return status != 404

    def upload(self, path: str, file: BinaryIO) -> Json:
        """Send a file as the part ``file`` of a form; return the JSON answer.

        Raises:
            CommandError: as ``request`` does.
        """
        form = _Form(file)
        headers = {**self._headers, **form.headers}
        request = self._request("POST", path, form.pieces(), headers)
        status, answer = self._exchange(request, _decode_answer, timeout=LONG_TIMEOUT_S)
        if status >= 400:
            raise CommandError(_reason(status, answer))
        return answer

    def _send(self, method: str, path: str, body: object) -> tuple[int, Json]:
        data = None if body is None else encode_json(body)
        request = self._request(method, path, data, self._headers)
        return self._exchange(request, _decode_answer)

    def _request(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> Request:
        url = self._url + path
        return Request(url, data=body, headers=headers, method=method)  # noqa: S310 - the scheme is checked

    def _exchange(
        self,
        request: Request,
        read: Callable[[Any], Json],
        timeout: float = TIMEOUT_S,
    ) -> tuple[int, Json]:
        """Return the status, and what ``read`` makes of an answer that is no error."""
        try:
            with _opener.open(request, timeout=timeout) as response:
                return response.status, read(response)
        except HTTPError as error:
            with error:
                return error.code, _decode(error.read())
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            raise CommandError(f"No answer from {self._url}: {error}") from error
        except msgspec.DecodeError as error:
            raise CommandError(f"{self._url} does not answer in JSON") from error


class _NoRedirects(HTTPRedirectHandler):
    """Goes nowhere else: the token would go along."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        fp.close()
        raise CommandError(f"{req.host} redirects to {newurl}: name that server")


_opener = build_opener(_NoRedirects)


class _Form:
    """A form of one file, sent in pieces."""

    def __init__(self, file: BinaryIO) -> None:
        boundary = secrets.token_hex(16)
        self._head = (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="file"; filename="bundle.zip"\r\n'
            "Content-Type: application/zip\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file = file
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + size + len(self._tail)),
        }

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""
        yield self._head
        while piece := self._file.read(PIECE):
            yield piece
        yield self._tail


def _copy(response: BinaryIO, *, to: BinaryIO) -> Json:
    shutil.copyfileobj(response, to, PIECE)
    return {}


def _decode_answer(response: BinaryIO) -> Json:
    answer: Json = msgspec.json.decode(response.read())
    return answer


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
