"""What ``nodetool secrets`` does: store, list, get, delete, rotate.

A value comes by a hidden prompt or by standard input, so that it is in no command line,
which every user of the machine can read.
"""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser

from nodetool_site.lib.redaction import unmaskable
from nodetool_site.lib.registered import is_reserved
from nodetool_site.lib.rendering import format_time
from storage.errors import SecretNotFound
from storage.management.nouns import Verb, add_json_option, add_user_option, count
from storage.models import Secret
from storage.secret_reads import list_stored, secret_document
from storage.vault import (
    MAX_VALUE_BYTES,
    delete_secret,
    is_secret_name,
    reveal_secret,
    rotate,
    set_secret,
)


def secret_name(text: str) -> str:
    """Return a name that a secret can have, for argparse."""
    if is_secret_name(text):
        return text
    raise ArgumentTypeError(
        f"{text!r} is no name of a secret: use letters, digits and _"
    )


class StoreVerb(Verb):
    """Store a value under a name."""

    help = "store a secret, new or over an older one"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("key", metavar="KEY", type=secret_name)
        parser.add_argument("-d", "--description", metavar="TEXT")
        source = parser.add_mutually_exclusive_group()
        source.add_argument(
            "--value", help="the value; other users of this machine can see it"
        )
        source.add_argument(
            "--stdin", action="store_true", help="the value is all of standard input"
        )
        add_user_option(parser)

    def run(self, **options: Any) -> None:
        key, owner_id = options["key"], options["user_id"]
        value = _value_from(options)
        if not value:
            raise CommandError(f"The value of secret '{key}' is empty")
        set_secret(owner_id, key, value, description=options["description"])
        self.say(f"Secret '{key}' stored for user {owner_id}.")
        if weakness := unmaskable(value):
            self.remark(weakness)
        if is_reserved(key):
            self.remark(
                f"Nothing uses it: the server reads {key} from the environment alone."
            )


class ListVerb(Verb):
    """Show which secrets a user has, never their values."""

    help = "list the names of a user's secrets"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=count, default=100)
        add_user_option(parser)
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        owner_id = options["user_id"]
        stored = list_stored(owner_id)
        secrets = stored[: options["limit"]]
        if options["json"]:
            following = secrets[-1].key if len(stored) > len(secrets) else None
            documents = [secret_document(secret) for secret in secrets]
            self.say_json({"secrets": documents, "next_key": following})
        elif not secrets:
            self.say(f"No secrets stored for user {owner_id}.")
        else:
            rows = [(each.key, format_time(each.updated_at)) for each in secrets]
            self.say_table(f"Secrets for user {owner_id}", ("Key", "Updated At"), rows)


class GetVerb(Verb):
    """Show what is known of a secret; its value only when asked for."""

    help = "show a secret's dates, and with --reveal its value"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("key", metavar="KEY", type=secret_name)
        parser.add_argument("--reveal", action="store_true", help="show the value")
        add_user_option(parser)
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        key, owner_id = options["key"], options["user_id"]
        secret = Secret.objects.filter(owner_id=owner_id, key=key).first()
        if secret is None:
            raise SecretNotFound(f"Secret '{key}' not found for user {owner_id}")
        document = secret_document(secret)
        if options["reveal"]:
            document["value"] = reveal_secret(owner_id, key, is_use=False)
        if options["json"]:
            self.say_json(document)
            return
        for name, value in document.items():
            self.say(f"{name}: {'-' if value in (None, '') else value}")


class DeleteVerb(Verb):
    """Delete a secret."""

    help = "delete a secret"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("key", metavar="KEY", type=secret_name)
        parser.add_argument("--yes", action="store_true", help="do not ask")
        add_user_option(parser)

    def run(self, **options: Any) -> None:
        key, owner_id = options["key"], options["user_id"]
        if not Secret.objects.filter(owner_id=owner_id, key=key).exists():
            raise SecretNotFound(f"Secret '{key}' not found for user {owner_id}")
        question = f"Delete secret '{key}' of user {owner_id}?"
        if not options["yes"] and not self.is_sure(question):
            raise CommandError("Nothing deleted.")
        delete_secret(owner_id, key)
        self.say(f"Secret '{key}' deleted for user {owner_id}.")


class RotateVerb(Verb):
    """Encrypt everything with the first key of the ring."""

    help = "encrypt all secrets with the first key of SECRETS_MASTER_KEY"

    def add_options(self, parser: CommandParser) -> None:
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        done = rotate()
        if options["json"]:
            self.say_json(done._asdict())
        else:
            noun = "secret" if done.changed == 1 else "secrets"
            self.say(f"{done.changed} {noun} encrypted with the key {done.key_id}.")
            for key_id in done.retired:
                self.say(f"The key {key_id} is not needed any more.")
        if done.damaged:
            names = ", ".join(done.damaged[:10])
            raise CommandError(
                f"Damaged and left as they are: {names}; store them again"
            )


def _value_from(options: dict[str, Any]) -> str:
    """Return the value from where the options say it is.

    Of a stream no more is read than a value may be long, and a little: what is too
    long is refused where values are checked.
    """
    if options["value"] is not None:
        return str(options["value"])
    if options["stdin"]:
        return sys.stdin.read(MAX_VALUE_BYTES + 2).removesuffix("\n")
    if not sys.stdin.isatty():
        return sys.stdin.readline(MAX_VALUE_BYTES + 3).rstrip("\r\n")
    try:
        return getpass.getpass(f"Enter value for secret '{options['key']}': ")
    except EOFError:
        sys.stderr.write("\n")  # the end of input ends no line
        return ""
