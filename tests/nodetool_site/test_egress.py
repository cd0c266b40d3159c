"""What is fetched of addresses that users name, and what is never connected to."""

import asyncio
import gzip
import re
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nodetool_site.lib.egress import (
    EgressClient,
    FetchFailed,
    RefusedAddress,
    TooLarge,
    client,
)
from nodetool_site.lib.public_addresses import may_connect
from tests.corpora import web_addresses
from tests.end_to_end.server import ROOT
from tests.providers.vendor import endless, head, reset, silence, stream, vendor, whole

OK = whole(b"here", kind="text/plain")


@dataclass
class Network:
    """A network in which every address is the same local server."""

    served: object
    connects: list[tuple[str, int]] = field(default_factory=list)
    lookup: object = web_addresses.lookup

    @property
    def hosts(self):
        return {host for host, _ in self.connects}

    async def fetch(self, url, **options):
        times = {k: options.pop(k) for k in ("connect_s", "total_s") if k in options}
        return await EgressClient(self.lookup, **times).fetch(url, **options)

    async def refuses(self, url):
        """Tell whether an address is refused."""
        try:
            await self.fetch(url)
        except RefusedAddress:
            return True
        except FetchFailed:
            return False
        return False


@asynccontextmanager
async def network(monkeypatch, *answers):
    """The network; sockets are real, and only where they lead to is changed."""
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect
    async with vendor(*answers) as served:
        found = Network(served)
        port = int(served.url.rpartition(":")[2])

        async def sock_connect(sock, address):
            found.connects.append(address[:2])
            is_new = sock.family == socket.AF_INET6
            local = ("::ffff:127.0.0.1", port, 0, 0) if is_new else ("127.0.0.1", port)
            await connect(sock, local)

        monkeypatch.setattr(loop, "sock_connect", sock_connect)
        yield found


@pytest.fixture
async def net(monkeypatch):
    async with network(monkeypatch, OK) as found:
        yield found


def private(address):
    return not may_connect(address)


# --- Where to


async def test_h08_what_is_not_public_is_never_connected_to(net):
    urls = web_addresses.refused()

    refused = await asyncio.gather(*(net.refuses(url) for url in urls))

    assert len(set(urls)) > 200
    assert [
        url for url, is_refused in zip(urls, refused, strict=True) if not is_refused
    ] == []
    assert net.connects == []


async def test_h08_all_that_is_public_works(net):
    urls = web_addresses.allowed()

    for url in urls:
        assert (await net.fetch(url)).content == b"here", url

    assert len(net.connects) == len(urls) > 60
    assert not any(private(host) for host in net.hosts)


async def test_h08_redirects_lead_to_nothing_that_is_not_public(monkeypatch):
    urls = [u for u in web_addresses.refused() if u.isascii() and u.isprintable()]
    answers = [whole(b"", 302, Location=url) for url in urls]
    async with network(monkeypatch, *answers) as net:
        refused = [await net.refuses("http://public.test/") for _ in urls]

    # A few lead on to the same host instead, as they would from a page.
    assert refused.count(True) > 200
    assert net.hosts == {"8.8.8.8"}


@pytest.mark.parametrize("place", ["[::ffff:8.8.8.8]", "other.test", "public.test:81"])
async def test_h08_redirects_to_what_is_public_are_followed(monkeypatch, place):
    answers = (whole(b"", 307, Location=f"http://{place}/b"), OK)
    async with network(monkeypatch, *answers) as net:
        found = await net.fetch("http://public.test/a")

    assert found.content == b"here"
    assert found.url.endswith("/b")
    assert len(net.connects) == 2


async def test_h08_a_name_that_changes_is_asked_and_checked_each_time(monkeypatch):
    turns = iter([["8.8.8.8"], ["127.0.0.1"], ["8.8.8.8"], ["169.254.169.254"]])

    async def rebinding(host, port):
        return next(turns)

    async with network(monkeypatch, OK, whole(b"", 302, Location="/again")) as net:
        net.lookup = rebinding
        first = await net.fetch("http://rebinding.test/")
        later = [await net.refuses("http://rebinding.test/") for _ in range(2)]

    assert first.content == b"here"
    assert later == [True, True]
    assert net.hosts == {"8.8.8.8"}


async def test_h08_what_is_connected_is_what_was_looked_up(net):
    asked = []

    async def once(host, port):
        asked.append(host)
        return ["8.8.8.8"]

    net.lookup = once
    await net.fetch("http://localhost:8123/x")

    assert asked == ["localhost"]
    assert net.connects == [("8.8.8.8", 8123)]


async def test_h08_proxies_of_the_environment_are_not_asked(net, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://10.0.0.1:3128")

    await net.fetch("http://public.test/")

    assert net.connects == [("8.8.8.8", 80)]


async def test_h08_the_setting_opens_the_own_network_and_no_metadata(net, settings):
    settings.ALLOW_PRIVATE_EGRESS = ("1",)
    own = [
        f"http://[{a}]/" if ":" in a else f"http://{a}/" for a in web_addresses.PRIVATE
    ]

    for url in own:
        assert (await net.fetch(url)).content == b"here", url
    refused = [await net.refuses(url) for url in web_addresses.never()]

    assert all(refused)
    assert {ip_address(host) for host in net.hosts} == {
        ip_address(address) for address in web_addresses.PRIVATE
    }


async def test_h08_the_setting_opens_the_hosts_and_networks_that_it_names(
    net, settings
):
    settings.SERVER_MODE = "public"
    settings.ALLOW_PRIVATE_EGRESS = ("Internal.test", "192.168.0.0/24", "fd12::/16")
    behind = {"internal.test": "10.0.0.7", "other.test": "10.0.0.7"}
    behind["metadata.internal.test"] = "169.254.169.254"

    async def lookup(host, port):
        return [behind.get(host.rstrip("."), host)]

    net.lookup = lookup
    opened = ["internal.test", "INTERNAL.TEST.", "192.168.0.1", "[fd12::1]"]
    opened.append("[::ffff:192.168.0.1]")
    closed = ["other.test", "10.0.0.7", "192.168.1.1", "[fd13::1]", "127.0.0.1"]
    closed += ["metadata.internal.test", "169.254.169.254"]

    for host in opened:
        assert (await net.fetch(f"http://{host}/")).content == b"here", host
    reached = len(net.connects)
    refused = [host for host in closed if await net.refuses(f"http://{host}/")]

    assert refused == closed
    assert len(net.connects) == reached == len(opened)


async def test_h08_a_host_that_is_open_opens_none_that_it_redirects_to(
    monkeypatch, settings
):
    settings.ALLOW_PRIVATE_EGRESS = ("127.0.0.1",)
    answers = (whole(b"", 302, Location="http://127.0.0.2/"), OK)
    async with network(monkeypatch, *answers) as net:
        assert await net.refuses("http://127.0.0.1/")

    assert net.hosts == {"127.0.0.1"}


async def test_h08_an_open_name_never_leads_to_credentials(net, settings):
    settings.ALLOW_PRIVATE_EGRESS = ("internal.test", "169.254.0.0/16")

    async def lookup(host, port):
        return ["169.254.169.254"]

    net.lookup = lookup
    for url in ("http://internal.test/", "http://169.254.169.254/"):
        with pytest.raises(RefusedAddress) as raised:
            await net.fetch(url)
        assert "ALLOW_PRIVATE_EGRESS" not in str(raised.value)

    assert net.connects == []


@pytest.mark.parametrize("words", [(), ("0",), ("off",)])
async def test_h08_without_the_setting_nothing_private_is_open(net, settings, words):
    settings.ALLOW_PRIVATE_EGRESS = words

    assert await net.refuses("http://127.0.0.1/")


async def test_only_the_desktop_is_told_of_the_setting(net, settings):
    settings.SERVER_MODE = "private"

    with pytest.raises(RefusedAddress) as raised:
        await net.fetch("http://127.0.0.1/")

    assert "ALLOW_PRIVATE_EGRESS" not in str(raised.value)
    assert net.connects == []


async def test_a_refusal_names_the_cure_and_no_address_behind_a_name(net):
    cure = "ALLOW_PRIVATE_EGRESS=internal.test"
    with pytest.raises(RefusedAddress, match=cure) as raised:
        await net.fetch("http://internal.test/secret-path?token=abc")

    assert "'internal.test' is not a public address" in str(raised.value)
    assert not any(word in str(raised.value) for word in ("10.0.0.7", "secret", "abc"))


# --- What is said, and to whom


async def test_credentials_stay_with_their_origin(monkeypatch):
    said = {
        "Authorization": "Bearer x",
        "Cookie": "a=b",
        "X-Api-Key": "k",
        "Accept": "a/b",
    }
    answers = (
        whole(b"", 302, Location="/same", Set_Cookie="c=d"),
        whole(b"", 302, Location="http://public.test:81/"),
        OK,
    )
    async with network(monkeypatch, *answers) as net:
        await net.fetch("http://public.test/", headers=said)
        sent = [{n.lower() for n in r.headers} for r in net.served.requests]
        accepted = {r.headers["accept"] for r in net.served.requests}

    credentials = {"authorization", "cookie", "x-api-key"}
    assert [names & credentials for names in sent] == [credentials, credentials, set()]
    assert net.served.requests[1].headers["cookie"] == "a=b"
    assert accepted == {"a/b"}


@pytest.fixture
async def asked(monkeypatch, tmp_path):
    """The names that an https server was asked for; its certificate is public.test's.

    The client trusts who made it.
    """
    names = []
    certificate = _certificate("public.test", tmp_path / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda sock, name, _: names.append(name)
    monkeypatch.setattr(
        "aiohttp.connector._SSL_CONTEXT_VERIFIED",
        ssl.create_default_context(cafile=certificate),
    )

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await OK(writer)
        writer.close()

    served = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    address = served.sockets[0].getsockname()
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect
    monkeypatch.setattr(loop, "sock_connect", lambda sock, _: connect(sock, address))
    async with served:
        yield names


async def test_the_name_is_asked_for_and_on_the_certificate(asked):
    found = await EgressClient(web_addresses.lookup).fetch("https://public.test/")

    assert found.content == b"here"
    assert asked == ["public.test"]


@pytest.mark.parametrize("host", ["other.test", "8.8.8.8"])
async def test_a_certificate_of_another_name_is_refused(asked, host):
    with pytest.raises(FetchFailed, match="certificate"):
        await EgressClient(web_addresses.lookup).fetch(f"https://{host}/")


def _certificate(name, file):
    """Make a certificate that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


# --- Bounds


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"x" * 1_001),
        stream(b"x" * 600, b"x" * 600),
        stream(then=endless(b"x" * 1_000)),
        whole(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"),
    ],
)
async def test_bytes_are_bounded_as_they_come_out(monkeypatch, answer):
    async with network(monkeypatch, answer) as net:
        with pytest.raises(TooLarge, match="more than 1000 bytes"):
            await net.fetch("http://public.test/", max_bytes=1_000)


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
async def test_packed_bytes_are_unpacked(monkeypatch, size):
    content = (b"abcdefghij" * size)[:size]
    packed = whole(gzip.compress(content), Content_Encoding="gzip", kind="IMAGE/png")
    async with network(monkeypatch, packed) as net:
        found = await net.fetch("http://public.test/")

    assert (found.content, found.content_type) == (content, "image/png")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (whole(b"", 404), "answered 404"),
        (whole(b"", 304), "answered 304"),
        (whole(b"x", Content_Encoding="br"), "not asked for"),
        (whole(b"x", Content_Encoding="gzip"), "damaged"),
        (whole(gzip.compress(bytes(99))[:-9], Content_Encoding="gzip"), "damaged"),
        (stream(b"half", then=reset), "broken off"),
        (reset, "broken off"),
        (lambda writer: _say(writer, b"SSH-2.0-x\r\n"), "no answer in HTTP"),
        (whole(b"", 302, Location="/on"), "more than 5 times"),
        (silence, "within 0.3 s"),
        (lambda writer: _drip(writer), "within 0.3 s"),
    ],
)
async def test_a_failure_says_why(monkeypatch, answer, reason):
    async with network(monkeypatch, answer) as net:
        with pytest.raises(FetchFailed, match=reason) as raised:
            await net.fetch("http://public.test/secret", total_s=0.3)

    assert "public.test" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.status == 400
    assert len(net.connects) <= 6


async def _say(writer, content):
    writer.write(content)
    await writer.drain()
    writer.close()


async def _drip(writer):
    writer.write(head() + b"Content-Length: 1000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b"x")
        await asyncio.sleep(0.05)


async def test_who_does_not_let_itself_be_connected_to(net, monkeypatch):
    loop = asyncio.get_running_loop()
    with pytest.raises(FetchFailed, match="no host 'nobody"):
        await net.fetch("http://nobody.test/")

    monkeypatch.setattr(loop, "sock_connect", lambda *_: asyncio.sleep(60))
    with pytest.raises(FetchFailed, match="in time"):
        await net.fetch("http://public.test/", connect_s=0.05)


async def test_a_name_server_that_hangs_is_not_waited_for(net):
    net.lookup = lambda *_: asyncio.sleep(60)

    with pytest.raises(FetchFailed, match="in time"):
        await net.fetch("http://public.test/", connect_s=0.05)


async def test_it_works_on_any_loop(settings):
    settings.ALLOW_PRIVATE_EGRESS = ("localhost",)
    async with vendor(OK) as served:
        url = served.url.replace("127.0.0.1", "localhost")
        here = await client.fetch(url)
        there = await asyncio.to_thread(lambda: asyncio.run(client.fetch(url)))

    assert (here.content, there.content) == (b"here", b"here")


def test_h08_nothing_else_opens_connections_over_http():
    opens = re.compile(
        r"ClientSession\(|urlopen\(|build_opener\(|HTTPS?Connection\("
        r"|import (requests|httpx)\b"
    )
    found = {
        file.relative_to(ROOT).as_posix()
        for app in ("nodetool_site", "storage", "workflows", "jobs", "chat")
        for file in (ROOT / app).rglob("*.py")
        if opens.search(file.read_text())
    }

    # The others go to addresses of the settings, or of the command line, alone.
    assert found == {
        "chat/cli/remote.py",
        "nodetool_site/lib/egress.py",
        "storage/http_session.py",
        "workflows/management/http_client.py",
        "workflows/providers/http_client.py",
    }
