"""What ``nodetool users`` does: who may call under the ``multi_user`` provider."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from nodetool_site.lib.rendering import format_time
from storage.management.nouns import Verb, add_json_option
from storage.management.token_verbs import warn_if_tokens_do_not_count
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


class _IssuingVerb(Verb):
    """Shows a token, this one time."""

    done: str

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        user, token = self.issue(options["name"])
        if options["json"]:
            self.say_json({**_described(user), "token": token})
        else:
            self.say(f"User {user.username} ({user.pk}) {self.done}.")
            self.say(f"Token, shown only now: {token}")
        warn_if_tokens_do_not_count(self)

    def issue(self, name: str) -> Issued:
        """Change the user, and return them with a token."""
        raise NotImplementedError


class AddVerb(_IssuingVerb):
    """Make an account."""

    help = "add a user and show a token, this once"
    done = "added"

    def issue(self, name: str) -> Issued:
        return add_user(name)


class ResetTokenVerb(_IssuingVerb):
    """Put one new token in the place of all."""

    help = "revoke a user's tokens and show a new one, this once"
    done = "has a new token"

    def issue(self, name: str) -> Issued:
        return reset_token(name)


class ListVerb(Verb):
    """Show everybody."""

    help = "list users and the beginnings of their tokens"

    def add_options(self, parser: CommandParser) -> None:
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        users = all_users()
        if options["json"]:
            self.say_json({"users": [_described(user) for user in users]})
        elif not users:
            self.say("No users found.")
        else:
            self.say_table("Users", HEAD, [_row(user) for user in users])


class RemoveVerb(Verb):
    """Remove an account."""

    help = "remove a user with all that is theirs"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        name = options["name"]
        user = find_user(name)
        question = f"Remove {name} with all workflows, jobs and files?"
        if not options["yes"] and not self.is_sure(question):
            raise CommandError("Nothing removed.")
        remove_user(name)
        if options["json"]:
            self.say_json({"id": user.pk, "username": name, "removed": True})
        else:
            self.say(f"User {name} ({user.pk}) removed.")


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


def _row(user: User) -> tuple[str | None, ...]:
    tokens = list(user.api_tokens.all())
    uses = [token.last_used_at for token in tokens if token.last_used_at]
    return (
        user.pk,
        user.username,
        ", ".join(token.prefix for token in tokens),
        _time(max(uses, default=None)),
        format_time(user.date_joined),
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
