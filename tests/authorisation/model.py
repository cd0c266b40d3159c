"""What a row of the matrix says. How to add one is told in docs/testing.md."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

Params = dict[str, str]
Body = Any | Callable[[Params], Any]

PARAMETER = re.compile(r"<(\w+)>")


class Caller(Protocol):
    """Somebody who sends requests; ``id`` is who they are."""

    id: str

    async def request(
        self, method: str, target: str, body: Any = None, **headers: str
    ) -> Any: ...


Factory = Callable[[Caller], Awaitable[Params]]


async def nothing(owner: Caller) -> Params:
    """The object of a row that concerns none."""
    del owner
    return {}


@dataclass(frozen=True)
class Row:
    """One method of one route: what each caller gets.

    ``of`` makes an object of a user, through the API, and returns the parameters of the
    path (and whatever else ``body`` or ``query`` need). ``owner`` is the status for
    that user, ``other`` for every other user, ``anonymous`` without a credential or
    with a bad one, ``staff`` for staff, superusers included (None: as ``other``).

    ``shows``: the owner's answer tells of the object, which makes the check that the
    others' answers do not mean something. ``is_public``: theirs may. ``is_stream``: the
    answer is server-sent events. ``makes_unknown``: what does not exist is made, so it
    differs from what is somebody else's. ``unenforced``: what others get where nobody
    needs a credential (``local``; None: as ``other``). ``one_user``: what all callers
    get where they are one user (``local``, ``static``; None: no other status).
    ``unlike``: parameters of an object that nobody has, where the general rule of
    ``unknown`` does not do.
    """

    method: str
    route: str
    of: Factory = nothing
    body: Body = None
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    owner: int = 200
    other: int = 404
    anonymous: int = 401
    staff: int | None = None
    shows: bool = True
    is_public: bool = False
    is_stream: bool = False
    makes_unknown: bool = False
    unenforced: int | None = None
    one_user: int | None = None
    unlike: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.route}{self.query}"

    def target(self, params: Params) -> str:
        """The path and query for an object."""
        return "/" + filled(self.route + self.query, params)

    def sent(self, params: Params) -> Any:
        """The body for an object."""
        return self.body(params) if callable(self.body) else self.body


@dataclass(frozen=True)
class AdminRow:
    """One method of one admin page, for members of the staff with all permissions.

    ``owner``: whose object it is; ``other``: a colleague; both are no superusers.
    ``powerless`` has no permission at all. Everybody who is no staff is sent to the
    login, whatever token they hold. ``pk`` is the parameter of ``of`` that the page
    calls ``object_id`` (or ``id``); ``more`` has what else the path asks for.
    """

    method: str
    route: str
    of: Factory = nothing
    pk: str = ""
    form: Body = None
    superuser: int = 200
    owner: int = 200
    other: int = 404
    powerless: int = 403
    stranger: int = 302
    shows: bool = False
    more: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.route}"

    def target(self, params: Params) -> str:
        """The path of the page of an object."""
        pk = params.get(self.pk, "")
        return "/" + filled(
            self.route, {"object_id": pk, "id": pk, **params, **self.more}
        )

    def sent(self, params: Params) -> Any:
        """The form for an object."""
        return self.form(params) if callable(self.form) else self.form


@dataclass(frozen=True)
class ActionRow:
    """One action on the list of a model: whose objects it may touch.

    ``of_owner``: staff may use it on what is theirs. ``of_nobody``: it is for what
    belongs to nobody, and superusers alone may.
    """

    model: str
    action: str
    of: Factory
    pk: str
    of_owner: bool = True
    of_nobody: bool = False
    form: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.model} {self.action}"


@dataclass(frozen=True)
class SocketRow:
    """One command of a socket: what the owner and what every other user is told.

    Both are texts that stand in what is answered. ``other`` None: the command concerns
    nobody's object, and everybody is told the same as the owner.
    """

    command: str
    of: Factory = nothing
    data: Body = None
    owner: str = ""
    other: str | None = None
    shows: bool = False
    is_public: bool = False
    makes_unknown: bool = False
    unlike: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.command

    def sent(self, params: Params) -> dict[str, Any]:
        """The data for an object."""
        data = self.data(params) if callable(self.data) else self.data
        return data or {}


def filled(text: str, params: Params) -> str:
    """``text`` with the parameters in the places of their names."""
    return PARAMETER.sub(lambda found: quote(params[found[1]], safe="/"), text)


def unknown(params: Params, unlike: Mapping[str, str]) -> Params:
    """The parameters of an object of the same kind that does not exist."""
    return {name: unlike.get(name, _unknown(value)) for name, value in params.items()}


def _unknown(value: str) -> str:
    """An id of the same form; of a path the last part, without its ending."""
    if value.isdigit():
        return str(10**8 + int(value))
    folder, slash, name = value.rpartition("/")
    head, dot, ending = name.partition(".")
    nobodys = "".join("0" if letter.isalnum() else letter for letter in head)
    return folder + slash + nobodys + dot + ending
