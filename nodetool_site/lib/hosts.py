"""Which addresses are this machine's own."""

from ipaddress import ip_address

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
OPEN_PROVIDERS = ("none", "local")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or an address (also in brackets) is this machine."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def default_allowed_hosts(provider: str) -> list[str]:
    """Return the ``Host`` values served when none are configured.

    Without authentication only the machine's own names: a page that points its own
    name at 127.0.0.1 must not reach the server (DNS rebinding).
    """
    return list(LOOPBACK_NAMES) if provider in OPEN_PROVIDERS else ["*"]
