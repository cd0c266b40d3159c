"""What goes wrong with a model server, in words for its user.

The words of a vendor are passed on where they help, cut to a length, without addresses'
queries, and not at all if any part of the key is in them.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import msgspec

from workflows.providers.base import (
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    error_for_status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workflows.providers.http_client import Endpoint

MAX_WORDS = 500
MAX_RETRY_S = 86400.0
KEY_PART = 8
PAYMENT_REQUIRED = 402
_USER = re.compile(r"(?<=://)[^\s/@]*@")
_QUERY = re.compile(r"(://[^\s?#]*)[?#]\S*")
_TOO_LONG = re.compile(
    r"context.?(?:length|window|limit|size)|too many tokens|token count .*exceed"
    r"|prompt is too long|input is too long|maximum number of tokens"
    r"|request too large for model|tokens \+ .?max_new_tokens",
    re.IGNORECASE,
)
_KEY_REFUSED = re.compile(r"api.?key.*(?:invalid|expired|not valid|not found)", re.I)
# What the vendors call a failure in the middle of a stream, and its HTTP status.
_STATUS_OF_TYPE = {
    "authentication_error": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "unauthenticated": 401,
    "not_found_error": 404,
    "not_found": 404,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 429,
    "overloaded_error": 529,
    "unavailable": 503,
    "deadline_exceeded": 504,
    "timeout_error": 504,
}


class _Words(NamedTuple):
    """What a vendor says of a failure."""

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str | None = None
    retry_after_s: float | None = None
    status: int = 0


def refused(
    to: Endpoint, status: int, headers: Mapping[str, str], text: bytes
) -> ProviderError:
    """Return the error for an answer that is not 2xx; ``text`` is its body."""
    words = _words_of(text)
    if status < 400:
        return _broken(to, f"answers {status}, and redirects are not followed", to)
    if status == 404 and not words.message:
        return _broken(to, "answers that there is no such path (404)", to)
    return _error(to, status, words, retry_after_s=_retry_after(headers))


def in_stream(to: Endpoint, error: Any) -> ProviderError:
    """Return the error for what a stream says instead of its next piece."""
    words = _words_from(error)
    named = (_STATUS_OF_TYPE.get(word.lower()) for word in (words.kind, words.code))
    status = words.status or next((found for found in named if found), 500)
    return _error(to, status, words)


def broken_off(to: Endpoint) -> ProviderError:
    """Return the error for an answer that ends before its end."""
    return _broken(to, "broke off in the middle of its answer")


def too_large(to: Endpoint) -> ProviderError:
    """Return the error for an answer over its bound."""
    return _broken(to, "answers more than is taken", is_transient=False)


def invalid_json(to: Endpoint) -> ProviderError:
    """Return the error for an answer that is not what the API promises."""
    return _broken(to, "answers with JSON that is not understood")


def wrong_type(to: Endpoint) -> ProviderError:
    """Return the error for an answer of another media type than was asked for."""
    return _broken(to, "answers with another content type than its API has", to)


def not_taken(to: Endpoint, what: str, *, param: str = "messages") -> ProviderError:
    """Return the error for a part of the request that the provider has no place for."""
    return ProviderError(
        f"{to.title} does not take {what}.",
        status=400,
        code="unsupported_value",
        param=param,
    )


def no_embeddings(to: Endpoint) -> ProviderError:
    """Return the error for a provider that has no models for vectors."""
    return ProviderError(
        f"{to.title} has no embedding models that this server can call; name a model "
        "of another provider.",
        status=400,
        code="unsupported_value",
        param="model",
    )


def wrong_vectors(to: Endpoint, what: str) -> ProviderError:
    """Return the error for an answer whose vectors are not those asked for."""
    return _broken(to, f"answers with {what}", is_transient=False)


def translated(error: Exception, to: Endpoint) -> ProviderError:
    """Return the error for what the HTTP library raised."""
    import aiohttp  # only where a request has been made: it is slow to import

    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ProviderUnavailable(f"{to.title} cannot be reached in time.")
    if isinstance(error, TimeoutError):
        return ProviderTimeout(f"{to.title} says nothing for too long.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return _unreachable(to)
    if isinstance(error, ValueError | aiohttp.NonHttpUrlClientError):
        return _broken(to, "cannot be called: its address or key is malformed", to)
    return broken_off(to)


def _unreachable(to: Endpoint) -> ProviderError:
    if to.key_name:
        return ProviderUnavailable(f"{to.title} cannot be reached.")
    return ProviderUnavailable(
        f"{to.title} cannot be reached: is it running? "
        f"Its address is the setting {to.url_name}.",
        is_transient=False,
    )


def _broken(
    to: Endpoint,
    what: str,
    setting_of: Endpoint | None = None,
    *,
    is_transient: bool | None = None,
) -> ProviderError:
    """Return a 502; one that a setting may cure names it and is not tried again."""
    cure = ""
    if setting_of is not None and to.url_name:
        cure = f"; is the setting {to.url_name} right?"
    if is_transient is None:
        is_transient = setting_of is None
    message = f"{to.title} {what}{cure or '.'}"
    return ProviderError(message, is_transient=is_transient)


def _error(
    to: Endpoint, status: int, words: _Words, retry_after_s: float | None = None
) -> ProviderError:
    if status == 400 and _KEY_REFUSED.search(words.message):
        status = 401
    if status in (401, 403):
        return error_for_status(status, _key_message(to, status, words))
    said = _passed_on(to, words.message) or f"it answers {status} without a reason"
    message = f"{to.title}: {said}"
    if status == PAYMENT_REQUIRED or words.code == "insufficient_quota":
        error = error_for_status(429, message, code="insufficient_quota")
        error.is_transient = False
        return error
    return error_for_status(
        status,
        message,
        code=_code(to, status, words),
        param=_passed_on(to, words.param or "") or None,
        retry_after_s=retry_after_s or words.retry_after_s,
    )


def _key_message(to: Endpoint, status: int, words: _Words) -> str:
    name = f"the key {to.key_name}" if to.key_name else "a call without a key"
    message = f"{to.title} refuses {name}; check the stored secret or the variable."
    said = _passed_on(to, words.message) if status == 403 else ""
    return f"{message} It says: {said}" if said else message


def _code(to: Endpoint, status: int, words: _Words) -> str | None:
    if status in (400, 413, 422) and _TOO_LONG.search(words.message):
        return "context_length_exceeded"
    if status == 404:
        return "model_not_found"
    return _passed_on(to, words.code) or None


def _words_of(text: bytes) -> _Words:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _Words()
    if isinstance(document, list) and document:  # Gemini, where it does not stream
        document = document[0]
    if not isinstance(document, dict):
        return _Words()
    return _words_from(document.get("error") or document)


def _words_from(error: Any) -> _Words:
    if isinstance(error, str):
        return _Words(error)
    if not isinstance(error, dict):
        return _Words()
    if isinstance(error.get("error"), dict):
        error = error["error"]
    message, code = error.get("message") or error.get("detail"), error.get("code")
    kind, status = error.get("type"), error.get("status")
    is_status = isinstance(code, int) and 400 <= code < 600
    return _Words(
        message=message if isinstance(message, str) else _json(message),
        code=code if isinstance(code, str) else "",
        kind=next((word for word in (kind, status) if isinstance(word, str)), ""),
        param=error["param"] if isinstance(error.get("param"), str) else None,
        retry_after_s=_retry_delay(error.get("details")),
        status=code if is_status else 0,
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode() if value else ""


def _retry_delay(details: Any) -> float | None:
    """Return the seconds of Gemini's ``RetryInfo``, as in ``"retryDelay": "34s"``."""
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (found := _seconds(delay.removesuffix("s"))):
            return found
    return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, from a number or a date."""
    value = headers.get("Retry-After", "")
    if found := _seconds(value):
        return found
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    seconds = (at - datetime.now(UTC)).total_seconds()
    return min(seconds, MAX_RETRY_S) if seconds > 0 else None


def _seconds(text: str) -> float | None:
    if not re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text.strip()):
        return None
    return min(float(text), MAX_RETRY_S) or None


def _passed_on(to: Endpoint, text: str) -> str:
    """Return a vendor's text as it may be shown: empty where the key shows in it."""
    text = _QUERY.sub(r"\1", _USER.sub("", " ".join(text.split())))
    folded = text.lower()
    if any(part in folded for part in _parts(to.key)):
        return ""
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}..."


def _parts(key: str) -> Iterator[str]:
    """Yield every part of a key of eight characters, plain and encoded, lower case."""
    if len(key) < KEY_PART:  # cannot be told from ordinary text
        return
    raw = key.encode()
    forms = [key, key[::-1], quote(key, safe=""), raw.hex()]
    for skipped in range(3):
        encoded = base64.b64encode(raw[skipped:]).decode().rstrip("=")
        forms.append(encoded[:-1])  # the last one depends on what follows
    for form in forms:
        folded = form.lower()
        for start in range(len(folded) - KEY_PART + 1):
            yield folded[start : start + KEY_PART]
