"""Who calls: users with tokens, sessions and sockets, all in this process."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Permission
from django.contrib.sessions.backends.db import SessionStore

from nodetool_site.asgi import websocket
from nodetool_site.lib.db import db
from storage.api_tokens import issue_token
from storage.failed_attempts import failed_attempts
from storage.models import User
from tests.authorisation.model import Factory, Params
from tests.jobs import http_client
from tests.jobs.http_client import Answer, HttpUser

STATIC = "a-static-token-of-enough-characters"
WRONG = "a-token-that-opens-nothing-at-all"
# Nobody is refused for asking too often.
UNLIMITED = {
    "AUTH_FAILURES_PER_MINUTE": 1_000_000,
    "RATE_LIMIT_PER_MINUTE": 0,
    "RUN_LIMIT_PER_MINUTE": 0,
    "MAX_RUNNING_JOBS_PER_USER": 0,
    "WS_MAX_CONNECTIONS_PER_USER": 0,
}
SETTINGS = {
    "AUTH_PROVIDER": "multi_user",
    "SERVER_AUTH_TOKEN": STATIC,
    **UNLIMITED,
}
NAMES = ("1", "alice", "bob", "charlie")
STAFF = ("sam", "tom")
BACKEND = "django.contrib.auth.backends.ModelBackend"
CSRF = "c" * 32
PATIENCE_S = 30


@dataclass
class Person:
    """A user of this server, or a stranger."""

    id: str
    token: str = ""

    async def request(
        self, method: str, target: str, body: Any = None, **headers: str
    ) -> Answer:
        """Send one request and read the whole answer."""
        return await HttpUser(self.token).request(method, target, body, **headers)


@dataclass
class PageVisitor:
    """Somebody with a browser: a session cookie, forms instead of JSON."""

    id: str
    cookie: str = ""

    async def request(
        self, method: str, target: str, form: dict[str, Any] | None = None
    ) -> Answer:
        """Open a page, or send a form."""
        headers = {
            "cookie": f"sessionid={self.cookie}; csrftoken={CSRF}",
            "x_csrftoken": CSRF,
        }
        if method != "POST":
            return await HttpUser().request(method, target, **headers)
        headers["content_type"] = "application/x-www-form-urlencoded"
        body = urlencode(form or {}, doseq=True).encode()
        return await HttpUser().request(method, target, body, **headers)


@dataclass
class World:
    """A server with users. Objects are made with everybody told apart by a token."""

    people: dict[str, Person] = field(default_factory=dict)
    visitors: dict[str, PageVisitor] = field(default_factory=dict)

    async def make(self, of: Factory, owner: str) -> Params:
        """An object of ``owner``, whatever the provider of the test is."""
        if not await db(User.objects.filter(pk=owner).exists):
            await db(self.add, owner)
        with multi_user():
            return await of(self.people[owner])

    def add(self, name: str) -> None:
        """Make a user, with a token and a session; again if they were deleted."""
        user = User.objects.create(
            id=name,
            username=name,
            is_staff=name in (*STAFF, "powerless", "root"),
            is_superuser=name == "root",
        )
        if name in STAFF:
            user.user_permissions.set(Permission.objects.all())
        self.people[name] = Person(name, issue_token(name, name="matrix")[1])
        self.visitors[name] = PageVisitor(name, _session_of(user))


@contextmanager
def multi_user() -> Iterator[None]:
    """Tell users apart for a moment."""
    before = settings.AUTH_PROVIDER
    settings.AUTH_PROVIDER = "multi_user"
    try:
        yield
    finally:
        settings.AUTH_PROVIDER = before


def share_handler(monkeypatch) -> None:
    """Let all requests go through one application, as in a server."""
    handler = http_client.Handler()
    monkeypatch.setattr(http_client, "Handler", lambda: handler)


def populate() -> World:
    """Make the users: some who own, two of the staff, one who may do everything."""
    world = World()
    for name in (*NAMES, *STAFF, "powerless", "root"):
        world.add(name)
    world.people["anonymous"] = Person("anonymous")
    world.people["wrong"] = Person("wrong", WRONG)
    world.people["static"] = Person("1", STATIC)
    world.visitors["anonymous"] = PageVisitor("anonymous")
    failed_attempts.clear()
    return world


def _session_of(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = user.pk
    session[BACKEND_SESSION_KEY] = BACKEND
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


class Socket:
    """An open ``/ws``, or another socket, in this process."""

    def __init__(self, token: str = "", path: str = "/ws", query: str = "") -> None:
        query += f"&api_key={token}" if token else ""
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"host", b"127.0.0.1:7777")],
            "subprotocols": [],
            "client": ("127.0.0.1", 50_001),
            "scheme": "ws",
        }
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task = asyncio.create_task(
            websocket(scope, self._in.get, self._out.put)  # type: ignore[arg-type]
        )
        self._in.put_nowait({"type": "websocket.connect"})

    async def __aenter__(self) -> "Socket":
        message = await self._next()
        assert message["type"] == "websocket.accept", message
        return self

    async def __aexit__(self, *_: object) -> None:
        self._in.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([self._task])

    async def ask(self, command: str, data: Any) -> list[Any]:
        """Send a command; every frame up to the reply of a ping behind it."""
        self.send({"command": command, "data": data, "request_id": "asked"})
        self.send({"command": "ping", "request_id": "behind"})
        frames = []
        while (frame := await self.receive()).get("request_id") != "behind":
            frames.append(frame)
        return frames

    async def ask_until(self, command: str, data: Any, wanted: str) -> str:
        """Send a command; what it is told as JSON, until ``wanted`` stands in it.

        What follows a reply may come later. What never comes is missing in the answer.
        """
        frames = await self.ask(command, data)
        while wanted not in json.dumps(frames):
            try:
                frames.append(await self.receive())
            except TimeoutError:
                break
        return json.dumps(frames)

    def send(self, frame: Any) -> None:
        """Send one frame."""
        self._in.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})

    async def receive(self) -> Any:
        """The next frame; a closed socket as the code and reason."""
        message = await self._next()
        if message["type"] == "websocket.close":
            return {"code": message.get("code"), "reason": message.get("reason")}
        return json.loads(message["text"])

    async def silence(self, seconds: float) -> list[Any]:
        """Every frame that comes within a time."""
        await asyncio.sleep(seconds)
        return [
            json.loads(self._out.get_nowait()["text"]) for _ in range(self._out.qsize())
        ]

    async def _next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self._out.get()
