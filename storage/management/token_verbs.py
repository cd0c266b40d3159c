"""What ``nodetool tokens`` does. A token's text is written once, when it is made."""

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
from storage.management.nouns import Verb, add_json_option, add_user_option
from storage.models import ApiToken
from storage.users import find_account

HEAD = ("Prefix", "Name", "User", "Scopes", "Created", "Last used", "Expires")


class CreateVerb(Verb):
    """Make a token."""

    help = "make a token and show it, this once"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True, type=_name)
        parser.add_argument(
            "--scope",
            action="append",
            choices=SCOPES,
            default=[],
            help="what it opens; may be repeated; without: all that its user may do",
        )
        parser.add_argument(
            "--expires", type=_days, metavar="DAYS", help="without: never"
        )
        add_user_option(parser)
        add_json_option(parser)

    def run(self, **options: Any) -> None:
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
            self.say(f"Token {token.name} of {user.username} ({user.pk}).")
            self.say(f"Shown only now: {text}")
        warn_if_tokens_do_not_count(self)


class ListVerb(Verb):
    """Show the tokens of a user, or of everybody."""

    help = "list tokens, the newest first"

    def add_options(self, parser: CommandParser) -> None:
        add_user_option(parser, default=None)
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        tokens = ApiToken.objects.order_by("-pk")
        if options["user_id"] is not None:
            tokens = tokens.filter(owner_id=options["user_id"])
        shown = [token_document(token) for token in tokens.iterator()]
        if options["json"]:
            self.say_json({"tokens": shown, "next": None})
        elif not shown:
            self.say("No tokens found.")
        else:
            self.say_table("Tokens", HEAD, [_row(document) for document in shown])


class RevokeVerb(Verb):
    """Delete a token."""

    help = "make a token open nothing any more"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", metavar="PREFIX", help="its beginning")
        add_user_option(parser, default=None)
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        found = find_by_prefix(options["prefix"], options["user_id"])
        revoke_token(found.owner_id, found.pk)
        if options["json"]:
            self.say_json({**token_document(found), "revoked": True})
        else:
            self.say(f"Token {found.name} ({found.prefix}) revoked.")


def warn_if_tokens_do_not_count(verb: Verb) -> None:
    """Say so where the configured provider knows no users' tokens."""
    if not knows_api_tokens():
        verb.remark(
            "Users' tokens count under AUTH_PROVIDER=multi_user and supabase; it is "
            f"{settings.AUTH_PROVIDER}."
        )


def _name(text: str) -> str:
    if not text.strip() or len(text) > MAX_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(f"1 to {MAX_NAME} printable characters")
    return text.strip()


def _days(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_DAYS:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not 1 to {MAX_DAYS} days")


def _row(document: dict[str, Any]) -> tuple[str | None, ...]:
    return (
        document["prefix"],
        document["name"],
        document["user_id"],
        ",".join(document["scopes"]) or "all",
        document["created_at"],
        document["last_used_at"],
        document["expires_at"] or "never",
    )
