"""``nodetool chat``: talk to a model or a workflow, in a thread that is kept."""

import sys
from typing import Any

from django.core.management.base import CommandParser

from chat.cli.local import LocalPartner
from chat.cli.terminal import Talk
from chat.cli.threads import ThreadPartner
from chat.documents import MessageFields
from storage.management.nouns import Verb, add_place_options, names

SHOWN_THREADS = 20


class ChatVerb(Verb):
    """Talks in one turn, or until the user leaves."""

    help = "talk to a model or a workflow"

    def add_options(self, parser: CommandParser) -> None:
        add_place_options(parser)
        parser.add_argument("-m", "--model", metavar="ID", help="else DEFAULT_MODEL")
        parser.add_argument(
            "-p", "--provider", metavar="NAME", help="demand this provider"
        )
        parser.add_argument(
            "-w", "--workflow", metavar="ID", help="let this workflow answer"
        )
        parser.add_argument(
            "--tools",
            type=names,
            default=(),
            metavar="NAME,...",
            help="tools of the server that the model may call",
        )
        parser.add_argument("--thread", metavar="ID", help="go on with this thread")
        parser.add_argument("--message", metavar="TEXT", help="say this, then end")

    def run(self, **options: Any) -> None:
        said = MessageFields(
            role="user",
            model=options["model"],
            provider=options["provider"],
            workflow_id=options["workflow"],
            tools=list(options["tools"]) or None,
        )
        partner = _partner(said, **options)
        commands = {"/threads": lambda _: _shown_threads(partner)}
        try:
            with Talk(partner, commands) as talk:
                if options["message"] is not None:
                    talk.once(options["message"])
                else:
                    talk.until_end()
        finally:
            _say_how_to_go_on(partner)


def _partner(said: MessageFields, **options: Any) -> ThreadPartner:
    url, thread_id = options["api_url"], options["thread"]
    if not url:
        return LocalPartner(options["user_id"], said, thread_id)
    # Here, because aiohttp takes its time and the database needs none.
    from chat.cli.remote import RemotePartner

    return RemotePartner(url, options["token"], said, thread_id)


def _shown_threads(partner: ThreadPartner) -> str:
    """Return the newest threads, a line each; the one at hand has a star."""
    lines = [
        f"{'*' if thread['id'] == partner.thread_id else ' '} {thread['id']}  "
        f"{thread['updated_at'][:16].replace('T', ' ')}  {thread['title']}"
        for thread in partner.threads(SHOWN_THREADS)
    ]
    return "\n".join(lines) or "There are no threads yet."


def _say_how_to_go_on(partner: ThreadPartner) -> None:
    if partner.thread_id is not None and sys.stdin.isatty():
        sys.stderr.write(f"To go on with it: --thread {partner.thread_id}\n")
