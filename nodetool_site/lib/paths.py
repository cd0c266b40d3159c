"""URL patterns that answer with and without a trailing slash, never by redirect."""

import re
from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, re_path

_PARAMETER = re.compile(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>")
_KINDS = {"str": "[^/]+", "path": ".+?", "int": "[0-9]+"}


def both(route: str, view: Callable[..., Any], name: str | None = None) -> URLPattern:
    """Return one pattern for ``route`` (``api/jobs/<id>``) in both forms.

    Parameters are ``<name>``, ``<int:name>`` (still passed as text) or ``<path:name>``.
    """
    pieces = []
    end = 0
    for parameter in _PARAMETER.finditer(route):
        pieces.append(_literal(route[end : parameter.start()]))
        kind = _KINDS[parameter["kind"] or "str"]
        pieces.append(f"(?P<{parameter['name']}>{kind})")
        end = parameter.end()
    pieces.append(_literal(route[end:]))
    return re_path(f"^{''.join(pieces)}/?$", view, name=name)


def _literal(text: str) -> str:
    """Return a pattern that matches ``text``, as readable as it can be.

    A dash means nothing outside of a set, and the escaped one shows in the API's
    description.
    """
    return re.escape(text).replace(r"\-", "-")
