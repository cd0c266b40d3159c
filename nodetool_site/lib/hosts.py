"""Which addresses are this machine's own."""

import socket
from ipaddress import ip_address

from nodetool_site.lib.auth_providers import OPEN_PROVIDERS

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, and never listened on by itself
# Documentation networks: asked which address would be used to reach them, nothing is
# sent.
_PROBES = (
    (socket.AF_INET, "192.0.2.1", "{}"),
    (socket.AF_INET6, "2001:db8::1", "[{}]"),
)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or an address (also in brackets) is this machine."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def default_allowed_hosts(
    provider: str, host: str = "127.0.0.1", *, is_hardened: bool = False
) -> list[str]:
    """Return the ``Host`` values served when none are configured.

    Without authentication only the machine's own names: a page that points its own
    name at 127.0.0.1 must not reach the server (DNS rebinding). A hardened mode names
    what it listens on, never everything; elsewhere the token decides.
    """
    if provider not in OPEN_PROVIDERS and not is_hardened:
        return ["*"]
    names = list(LOOPBACK_NAMES)
    if host in WILDCARDS:
        names += own_names() if is_hardened else []
    elif host not in LOOPBACK_NAMES:
        names.append(f"[{host}]" if ":" in host else host)
    return names


def own_names() -> list[str]:
    """Return the machine's name and the addresses it has towards others.

    No name server is asked: one that is away would hold up the start.
    """
    found = [socket.gethostname().lower()]
    for family, address, form in _PROBES:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
                found.append(form.format(probe.getsockname()[0]))
        except OSError:  # no such network here
            continue
    return [name for name in dict.fromkeys(found) if name]
