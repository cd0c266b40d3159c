"""``nodetool tokens``: the API tokens of a user."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from nodetool_site.lib.scopes import SCOPES
from storage.api.token_documents import token_document
from storage.api_tokens import (
    MAX_DAYS,
    MAX_NAME,
    find_by_prefix,
    issue_token,
    revoke_token,
)
from storage.identity import knows_api_tokens
from storage.management.results import TOKENS_DO_NOT_COUNT, Options, ResultCommand
from storage.models import ApiToken
from storage.models.user import DEFAULT_USER_ID
from storage.users import find_account

HEAD = ("Prefix", "Name", "User", "Scopes", "Created", "Last used", "Expires")


class Command(ResultCommand):
    """A token's text is written once, when it is made."""

    help = "Create, list and revoke API tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        create = verbs.add_parser("create", help="make a token and show it, this once")
        create.add_argument("--name", required=True, type=_name)
        create.add_argument(
            "--scope",
            action="append",
            choices=SCOPES,
            default=[],
            help="what it opens; may be repeated; without: all that its user may do",
        )
        create.add_argument(
            "--expires", type=_days, metavar="DAYS", help="without: never"
        )
        _add_user_option(create, default=DEFAULT_USER_ID)
        listing = verbs.add_parser("list", help="list tokens, the newest first")
        _add_user_option(listing, default=None)
        revoke = verbs.add_parser("revoke", help="make a token open nothing any more")
        revoke.add_argument("prefix", metavar="PREFIX", help="its beginning")
        _add_user_option(revoke, default=None)
        for options in (create, listing, revoke):
            options.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        self.run_verb(
            {"create": self._create, "list": self._list, "revoke": self._revoke},
            options,
        )

    def _create(self, options: Options) -> None:
        user = find_account(options["user_id"])
        days = options["expires"]
        token, text = issue_token(
            user.pk,
            name=options["name"],
            scopes=options["scope"],
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        if options["json"]:
            self.say_json({**token_document(token), "token": text})
        else:
            self.stdout.write(f"Token {token.name} of {user.username} ({user.pk}).")
            self.stdout.write(f"Shown only now: {text}")
        if not knows_api_tokens():
            self.stderr.write(TOKENS_DO_NOT_COUNT.format(settings.AUTH_PROVIDER))

    def _list(self, options: Options) -> None:
        tokens = ApiToken.objects.order_by("-pk")
        if options["user_id"] is not None:
            tokens = tokens.visible_to(find_account(options["user_id"]))
        shown = [token_document(token) for token in tokens.iterator()]
        if options["json"]:
            self.say_json({"tokens": shown, "next": None})
        elif not shown:
            self.stdout.write("No tokens found.")
        else:
            self.say_table([HEAD, *(_row(document) for document in shown)])

    def _revoke(self, options: Options) -> None:
        owner = options["user_id"]
        found = find_by_prefix(
            options["prefix"], None if owner is None else find_account(owner).pk
        )
        revoke_token(found.owner_id, found.pk)
        if options["json"]:
            self.say_json({**token_document(found), "revoked": True})
        else:
            self.stdout.write(f"Token {found.name} ({found.prefix}) revoked.")


def _add_user_option(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    shown = "everybody" if default is None else default
    parser.add_argument(
        "-u",
        "--user-id",
        default=default,
        metavar="ID",
        help=f"id or name; default: {shown}",
    )


def _name(text: str) -> str:
    if not text.strip() or len(text) > MAX_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(f"1 to {MAX_NAME} printable characters")
    return text.strip()


def _days(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_DAYS:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not 1 to {MAX_DAYS} days")


def _row(document: dict[str, Any]) -> tuple[str, ...]:
    return (
        document["prefix"],
        document["name"],
        document["user_id"],
        ",".join(document["scopes"]) or "all",
        document["created_at"],
        document["last_used_at"] or "-",
        document["expires_at"] or "never",
    )
