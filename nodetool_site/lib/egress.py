"""The one way to fetch from addresses that users name.

What is connected is what was checked: the resolver checks every address of a name, and
the maker of sockets the one that is connected, which is also how an address in place
of a name is checked. Each redirect passes the same way. No proxy variable counts, no
cookie is kept, no connection is shared, so this works on any event loop and leaves
nothing behind.

Any port may be named. Bounds: 10 s to connect, 60 s in all, 5 redirects, and
``max_bytes`` of the body after it is unpacked.
"""

from __future__ import annotations

import asyncio
import re
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from django.conf import settings

from nodetool_site.lib.environment import FALSE_WORDS, TRUE_WORDS
from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.modes import DESKTOP
from nodetool_site.lib.public_addresses import EVERYWHERE, Network, may_connect

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from yarl import URL

Lookup: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Returns the addresses of a host; an ``OSError`` if it has none."""

CONNECT_S = 10.0
TOTAL_S = 60.0
MAX_REDIRECTS = 5
MAX_BYTES = 100 * 1024**2
MAX_ADDRESS = 8_192
_PIECE = 256 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What a request to another origin still says; anything else may be a credential.
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
# The last part of an IPv4 address, however it is written; no name ends so.
_NUMBER = re.compile(r"(?:\d+|0x[0-9a-f]*)\.?", re.ASCII)
# Name servers that hang hold up these threads, and no other work.
_resolvers = ThreadPoolExecutor(4, thread_name_prefix="egress-names")


class FetchFailed(BadRequest):
    """An address cannot be fetched. The text names its host, never its path."""


class RefusedAddress(FetchFailed):
    """An address that is not fetched, whatever is there."""


class TooLarge(FetchFailed):
    """More bytes than were wanted."""


class Fetched(NamedTuple):
    """What was behind an address. ``url`` is where the last redirect led."""

    url: str
    content_type: str
    content: bytes


async def system_lookup(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().run_in_executor(
        _resolvers, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    )
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class EgressClient:
    """Fetches what is public; see the module. Stateless."""

    lookup: Lookup = system_lookup
    connect_s: float = CONNECT_S
    total_s: float = TOTAL_S

    async def fetch(
        self,
        address: str,
        *,
        max_bytes: int = MAX_BYTES,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Return what a GET of ``address`` finds.

        ``headers`` go to the origin of ``address`` and, where a redirect leads to
        another one, not there, save for what names no one.

        Raises:
            RefusedAddress: it, or a redirect's, is not public or not understood.
            TooLarge: there are more than ``max_bytes``.
            FetchFailed: no answer in time, or another one than 2xx.
        """
        await asyncio.to_thread(import_module, "aiohttp")  # slow, and seldom needed
        url = parse_address(address)
        try:
            async with asyncio.timeout(self.total_s):
                return await self._follow(url, max_bytes, dict(headers or {}))
        except TimeoutError as error:
            raise FetchFailed(
                f"'{url.host}' did not send it all within {self.total_s:g} s."
            ) from error

    async def _follow(
        self, url: URL, max_bytes: int, headers: dict[str, str]
    ) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._answer(url, headers) as response:
                target = _redirect(response, url)
                if target is None:
                    return await _fetched(response, url, max_bytes)
            if target.origin() != url.origin():
                headers = {
                    name: value
                    for name, value in headers.items()
                    if name.lower() in _HARMLESS
                }
            url = target
        raise FetchFailed(
            f"'{url.host}' redirects more than {MAX_REDIRECTS} times. Use the address "
            "that the redirects end at."
        )

    @asynccontextmanager
    async def _answer(
        self, url: URL, headers: Mapping[str, str]
    ) -> AsyncIterator[ClientResponse]:
        # Loaded by now; see ``fetch``.
        import aiohttp

        connector = aiohttp.TCPConnector(
            resolver=_resolver(self.lookup),
            socket_factory=partial(_checked_socket, str(url.raw_host)),
            use_dns_cache=False,
            force_close=True,
        )
        timeout = aiohttp.ClientTimeout(total=None, connect=self.connect_s)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "nodetool-server"},
            auto_decompress=False,
            trust_env=False,
        ) as session:
            sent = {**headers, "Accept-Encoding": "gzip"}
            try:
                async with session.get(
                    url, headers=sent, allow_redirects=False
                ) as response:
                    yield response
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise FetchFailed(_reason(error, url)) from error


client = EgressClient()
"""What everything uses that has no client of its own."""


def parse_address(address: str) -> URL:
    """Return an address as it is fetched.

    Raises:
        RefusedAddress: it is no http or https address, names a user, or writes its
            host in a way that programs read differently.
    """
    # As slow as the library it belongs to.
    from yarl import URL

    if len(address) > MAX_ADDRESS:
        raise RefusedAddress(f"An address has at most {MAX_ADDRESS} characters.")
    try:
        url = URL(address)
    except ValueError as error:
        raise RefusedAddress("This is no address of the web.") from error
    _check_form(url)
    return url


def _check_form(url: URL) -> None:
    if url.scheme not in ("http", "https"):
        raise RefusedAddress("Only http:// and https:// addresses can be fetched.")
    if url.user is not None or url.password is not None:
        raise RefusedAddress(
            "An address must not hold a user name or a password: leave out what is "
            "before the '@'."
        )
    if not url.raw_host or url.port == 0:
        raise RefusedAddress("The address names no host, or the port 0.")
    if not _is_plain(url.raw_host):
        raise RefusedAddress(
            f"The host '{url.raw_host[:100]}' is neither a name nor an address in its "
            "usual form: four decimal numbers, or IPv6 in brackets without a zone."
        )


def _is_plain(host: str) -> bool:
    """Tell whether every program reads a host alike."""
    try:
        return str(ip_address(host)) == host and "%" not in host
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2]
        is_name = len(host) <= 253 and _NAME.fullmatch(host) is not None
        return is_name and _NUMBER.fullmatch(last) is None


@dataclass(frozen=True, slots=True)
class Opened:
    """What may be fetched from although it is private: hosts by name, and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether this machine and all its networks are open."""
        return self.networks == EVERYWHERE

    def to(self, host: str) -> tuple[Network, ...]:
        """Return the networks that a host of this name may be in."""
        return EVERYWHERE if host.rstrip(".") in self.hosts else self.networks


@lru_cache(maxsize=8)
def read_opened(words: tuple[str, ...]) -> Opened:
    """Read ``ALLOW_PRIVATE_EGRESS``: hosts and networks, or 1 for everything.

    Raises:
        ValueError: a word is neither; its text is that word.
    """
    if len(words) == 1 and words[0].lower() in TRUE_WORDS:
        return Opened(networks=EVERYWHERE)
    if len(words) == 1 and words[0].lower() in FALSE_WORDS:
        return Opened()
    hosts, networks = set(), []
    for word in words:
        try:
            networks.append(ip_network(word))
        except ValueError:
            host = word.lower().rstrip(".")
            if not _is_plain(host):
                raise ValueError(word) from None
            hosts.add(host)
    return Opened(frozenset(hosts), tuple(networks))


def _check(address: str, host: str) -> None:
    opened = read_opened(settings.ALLOW_PRIVATE_EGRESS)
    if may_connect(address, opened=opened.to(host)):
        return
    cure = "Send the content itself instead of its address"
    if settings.SERVER_MODE == DESKTOP and may_connect(address, opened=EVERYWHERE):
        cure += f", or let this server reach it with ALLOW_PRIVATE_EGRESS={host}"
    raise RefusedAddress(f"'{host}' is not a public address. {cure}.")


def _checked_socket(host: str, info: Any) -> socket.socket:
    """Make the socket that is connected to an address; ``info`` as ``getaddrinfo``'s.

    Raises:
        RefusedAddress: it may not be connected to.
    """
    family, kind, protocol, _, address = info
    _check(address[0], host)
    return socket.socket(family, kind, protocol)


def _resolver(lookup: Lookup) -> Any:
    # Loaded by now; see ``EgressClient.fetch``.
    from aiohttp.abc import AbstractResolver, ResolveResult

    class CheckedResolver(AbstractResolver):
        async def resolve(
            self,
            host: str,
            port: int = 0,
            family: socket.AddressFamily = socket.AF_UNSPEC,
        ) -> list[ResolveResult]:
            """Return the addresses of a host.

            Raises:
                RefusedAddress: one of them may not be connected to.
            """
            found = await lookup(host, port)
            for address in found:
                _check(address, host)
            return [
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
                for address in found
            ]

        async def close(self) -> None:
            """There is nothing to close."""

    return CheckedResolver()


def _redirect(response: ClientResponse, url: URL) -> URL | None:
    """Return where an answer leads; None if it is the last."""
    location = response.headers.get("Location")
    if response.status not in _REDIRECTS or location is None:
        return None
    try:
        target = url.join(type(url)(location))
    except ValueError as error:
        raise RefusedAddress(f"'{url.host}' redirects to no address.") from error
    _check_form(target)
    return target


async def _fetched(response: ClientResponse, url: URL, max_bytes: int) -> Fetched:
    if not 200 <= response.status < 300:
        raise FetchFailed(f"'{url.host}' answered {response.status}.")
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise FetchFailed(
            f"'{url.host}' sends it packed in a way that was not asked for."
        )
    body = bytearray()
    async for piece in _unpacked(response, is_packed=coding != "identity"):
        body += piece
        if len(body) > max_bytes:
            raise TooLarge(f"There are more than {max_bytes} bytes at '{url.host}'.")
    return Fetched(str(url), response.content_type.lower(), bytes(body))


async def _unpacked(
    response: ClientResponse, *, is_packed: bool
) -> AsyncIterator[bytes]:
    """Yield the body in pieces of bounded size, whatever they unpack to.

    Raises:
        ValueError: it is damaged.
    """
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    async for data in response.content.iter_any():
        rest = data
        while rest and is_packed:
            try:
                yield unpacker.decompress(rest, _PIECE)
            except zlib.error as error:
                raise ValueError("damaged") from error
            rest = unpacker.unconsumed_tail
            await asyncio.sleep(0)
        if not is_packed:
            yield data
    if is_packed:
        yield unpacker.flush()  # a few bytes that it may hold back
        if not unpacker.eof:
            raise ValueError("cut short")


def _reason(error: Exception, url: URL) -> str:
    # Loaded by now; see ``EgressClient.fetch``.
    import aiohttp

    host = url.host
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"There is no host '{host}'."
    if isinstance(error, TimeoutError):
        return f"'{host}' did not let itself be connected to in time."
    if isinstance(error, aiohttp.ClientSSLError):
        return f"'{host}' has no certificate that can be trusted."
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"'{host}' cannot be connected to."
    return f"What '{host}' sends is broken off, damaged or no answer in HTTP."
