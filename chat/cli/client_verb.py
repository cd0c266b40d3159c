"""``nodetool chat-client``: talk to any server that speaks as OpenAI's does."""

from argparse import ArgumentTypeError
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandParser

from chat.cli.client import ServerPartner
from chat.cli.terminal import Talk
from nodetool_site.lib.hosts import is_loopback
from storage.management.nouns import Verb
from storage.static_token import own_commands_token

DEFAULT_MODEL = "gpt-4o-mini"


class ChatClientVerb(Verb):
    """Talks to a model of a server, in one turn or until the user leaves."""

    help = "talk to a model of a server with OpenAI's API"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--server-url",
            type=server_url,
            default=settings.NODETOOL_API_URL,
            metavar="URL",
            help="with the path of its API, or without one for /v1 "
            "(default: %(default)s)",
        )
        parser.add_argument(
            "--auth-token",
            metavar="TOKEN",
            help="default: SERVER_AUTH_TOKEN, for a server of this machine alone",
        )
        parser.add_argument("--message", metavar="TEXT", help="say this, then end")
        parser.add_argument("--model", default=DEFAULT_MODEL, metavar="ID")
        parser.add_argument("--provider", metavar="NAME", help="demand this provider")

    def run(self, **options: Any) -> None:
        url, token = options["server_url"], options["auth_token"]
        partner = ServerPartner(
            url,
            token=own_token(url) if token is None else token,
            model=options["model"],
            provider=options["provider"],
        )
        with Talk(partner) as talk:
            if options["message"] is not None:
                talk.once(options["message"])
            else:
                talk.until_end()


def server_url(text: str) -> str:
    """Return an address, for argparse.

    Raises:
        ArgumentTypeError: it is none of a web server.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme in ("http", "https") and parts.hostname:
        return text
    raise ArgumentTypeError(f"'{text}' is no address with http:// or https://")


def own_token(url: str) -> str:
    """Return this server's own token, if ``url`` is where it may be sent unasked."""
    host = urlsplit(url).hostname or ""
    is_own = is_loopback(host) or url == settings.NODETOOL_API_URL
    return own_commands_token() if is_own else ""
