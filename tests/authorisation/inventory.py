"""What there is to be authorised: routes and their methods, commands, admin pages."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern

from nodetool_site.routing import SOCKETS
from storage.models import User

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
GROUP = re.compile(r"\(\?P<(\w+)>(?:\[[^\]]*\]|\([^()]*\)|[^()\[\]])*\)")
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
ADMIN = re.compile(r"admin(/|$)")


@dataclass(frozen=True)
class Route:
    """A URL pattern, written as in a URL table: ``api/jobs/<job_id>``."""

    text: str
    view: Callable[..., Any]

    @property
    def is_admin(self) -> bool:
        """Whether the admin's own rule stands before it."""
        return ADMIN.match(self.text) is not None

    @property
    def methods(self) -> list[str]:
        """The methods that the view has; none where it does not say, as a function."""
        view = getattr(self.view, "cls", None) or getattr(self.view, "view_class", None)
        if view is None:
            return []
        allowed = [name for name in METHODS if name.lower() in view.http_method_names]
        actions = getattr(self.view, "actions", None)
        if actions:
            return [name for name in allowed if name.lower() in actions]
        return [name for name in allowed if hasattr(view, name.lower())]


def routes() -> list[Route]:
    """Every route of the application, those of the admin included."""
    return list(_walk(get_resolver().url_patterns, ""))


def commands() -> set[str]:
    """Every command of every socket, as ``path command``."""
    return {f"{path} {name}" for path, app in SOCKETS.items() for name in app.table}


def actions() -> set[str]:
    """Every action that a superuser is offered, as ``app/model action``."""
    request = RequestFactory().get("/admin/")
    request.user = User(id="root", is_staff=True, is_superuser=True, is_active=True)
    return {
        f"{model._meta.app_label}/{model._meta.model_name} {name}"
        for model, pages in admin.site._registry.items()
        for name in pages.get_actions(request)
    }


def written(pattern: str) -> str:
    """A pattern as a URL table has it, without its regular expression."""
    text = GROUP.sub(r"<\1>", pattern)
    text = text.replace("^", "").replace("$", "").removesuffix("/?")
    return CONVERTER.sub(r"<\1>", text).replace("\\", "")


def _anything(pattern: URLPattern | URLResolver) -> str:
    """An empty regular expression is found in every path, an empty route in one."""
    return ".*" if isinstance(pattern.pattern, RegexPattern) else ""


def _walk(patterns: Iterable[URLPattern | URLResolver], before: str) -> Iterator[Route]:
    for pattern in patterns:
        text = before + (str(pattern.pattern) or _anything(pattern))
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, text)
        else:
            yield Route(written(text), pattern.callback)
