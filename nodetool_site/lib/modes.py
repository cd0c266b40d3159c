"""The modes a server may run in, and what follows from one where nobody chose.

Imports nothing of Django: the settings are made with it.
"""

from nodetool_site.lib.hosts import is_loopback

DESKTOP, PRIVATE, PUBLIC = SERVE_MODES = ("desktop", "private", "public")
CHAT_SERVER = "chat-server"  # of the command of that name; nobody chooses it by a word
MODES = (*SERVE_MODES, CHAT_SERVER)
ALIASES = {"editor": DESKTOP}
CHOICES = (*SERVE_MODES, *ALIASES)
# Their callers need not be who runs the server.
HARDENED = frozenset({PRIVATE, PUBLIC, CHAT_SERVER})
# They ask who is calling, also on this machine.
CLOSED = frozenset({PRIVATE, PUBLIC})


def mode_named(word: str) -> str:
    """Return the mode that a word of ``CHOICES`` means."""
    return ALIASES.get(word, word)


def default_mode(*, is_production: bool) -> str:
    """Return the mode of a server that was told none."""
    return PRIVATE if is_production else DESKTOP


def default_provider(mode: str, host: str, *, is_production: bool) -> str:
    """Return the authentication of a server that was told none.

    Open only where nobody but this machine's user comes by; else one token.
    """
    is_open = mode not in CLOSED and not is_production and is_loopback(host)
    return "local" if is_open else "static"
