"""``nodetool users``: who may call under the ``multi_user`` provider."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from nodetool_site.lib.rendering import format_time
from storage.identity import knows_api_tokens
from storage.management.results import TOKENS_DO_NOT_COUNT, ResultCommand
from storage.models import User
from storage.users import (
    Issued,
    add_user,
    all_users,
    find_user,
    remove_user,
    reset_token,
)

HEAD = ("ID", "Name", "Tokens", "Last used", "Created")


class Command(ResultCommand):
    """Results go to stdout, all else to stderr."""

    help = "Add, list and remove users, and give them new tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb, text in (
            ("add", "add a user and show a token, this once"),
            ("list", "list users and the beginnings of their tokens"),
            ("remove", "remove a user with all that is theirs"),
            ("reset-token", "revoke a user's tokens and show a new one, this once"),
        ):
            options = verbs.add_parser(verb, help=text)
            options.add_argument("--json", action="store_true")
            if verb != "list":
                options.add_argument("name", metavar="NAME")
            if verb == "remove":
                options.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        verbs: dict[str, Callable[[dict[str, Any]], None]] = {
            "add": self._add,
            "list": self._list,
            "remove": self._remove,
            "reset-token": self._reset_token,
        }
        self.run_verb(verbs, options)

    def _add(self, options: dict[str, Any]) -> None:
        issued = add_user(options["name"])
        self._show_token(issued, "added", as_json=options["json"])

    def _reset_token(self, options: dict[str, Any]) -> None:
        issued = reset_token(options["name"])
        self._show_token(issued, "has a new token", as_json=options["json"])

    def _show_token(self, issued: Issued, done: str, *, as_json: bool) -> None:
        user, token = issued
        if as_json:
            self.say_json({**_described(user), "token": token})
        else:
            self.stdout.write(f"User {user.username} ({user.pk}) {done}.")
            self.stdout.write(f"Token, shown only now: {token}")
        if not knows_api_tokens():
            self.stderr.write(TOKENS_DO_NOT_COUNT.format(settings.AUTH_PROVIDER))

    def _list(self, options: dict[str, Any]) -> None:
        users = all_users()
        if options["json"]:
            self.say_json({"users": [_described(user) for user in users]})
        elif not users:
            self.stdout.write("No users found.")
        else:
            self.say_table([HEAD, *(_row(user) for user in users)])

    def _remove(self, options: dict[str, Any]) -> None:
        name = options["name"]
        user = find_user(name)
        if not options["yes"] and not self._is_sure(name):
            raise CommandError("Nothing removed.")
        remove_user(name)
        if options["json"]:
            self.say_json({"id": user.pk, "username": name, "removed": True})
        else:
            self.stdout.write(f"User {name} ({user.pk}) removed.")

    def _is_sure(self, name: str) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("Without a terminal --yes is needed.")
        self.stderr.write(f"Remove {name} with all workflows, jobs and files? [y/N] ")
        return input().strip().lower() in ("y", "yes")


def _described(user: User) -> dict[str, Any]:
    return {
        "id": user.pk,
        "username": user.username,
        "is_staff": user.is_staff,
        "is_active": user.is_active,
        "created_at": format_time(user.date_joined),
        "tokens": [
            {
                "name": token.name,
                "prefix": token.prefix,
                "created_at": format_time(token.created_at),
                "last_used_at": _time(token.last_used_at),
                "expires_at": _time(token.expires_at),
            }
            for token in user.api_tokens.all()
        ],
    }


def _row(user: User) -> tuple[str, ...]:
    tokens = list(user.api_tokens.all())
    uses = [token.last_used_at for token in tokens if token.last_used_at]
    return (
        user.pk,
        user.username,
        ", ".join(token.prefix for token in tokens) or "-",
        _time(max(uses, default=None)) or "-",
        format_time(user.date_joined),
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
