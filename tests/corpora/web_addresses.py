"""Addresses that a server must not fetch, however they are written, and some it may."""

# Where credentials are given out, and where there is no host: no setting opens these.
NEVER = (
    *("169.254.169.254", "169.254.170.2", "169.254.0.1", "100.100.100.200"),
    *("168.63.129.16", "192.0.0.192", "192.0.0.8", "0.0.0.0", "0.1.2.3"),  # noqa: S104
    *("192.0.2.1", "198.51.100.7", "203.0.113.99", "192.88.99.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "fe80::1", "fe80::a9fe:a9fe", "febf::1", "fec0::1", "ff02::1", "ff0e::1"),
    *("fd00:ec2::254", "fd20:ce::254", "100::1", "2001:db8::1", "3fff::1"),
    *("2001:2::1", "2001:10::1", "2001:20::1", "5f00::1", "4000::1", "::8.8.8.8"),
    *("::ffff:169.254.169.254", "::ffff:0:8.8.8.8", "64:ff9b:1::808:808"),
    *("64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1", "2002:e000:1::"),
    *("2001:0:a9fe:a9fe::f7f7:f7f7", "2001:0:808:808::5601:5601"),
    "2606:4700::5efe:169.254.169.254",
)
PRIVATE = (
    *("127.0.0.1", "127.1.2.3", "127.255.255.254"),
    *("10.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255"),
    *("192.168.0.1", "192.168.255.255", "100.64.0.1", "100.127.255.255"),
    *("198.18.0.1", "198.19.255.255"),
    *("::1", "fc00::1", "fd12:3456:789a::1", "fdff:ffff::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:192.168.1.1"),
    *("64:ff9b::10.0.0.1", "64:ff9b::7f00:1"),
    *("2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1"),
    *("2001:0:a00:1::f7f7:f7f7", "2001:0:808:808::80ff:fffe"),
    *("2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:7f00:1"),
)
PUBLIC = (
    *("8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255"),
    *("100.128.0.1", "126.255.255.255", "128.0.0.1", "169.253.255.255"),
    *("169.255.0.1", "172.15.255.255", "172.32.0.1", "191.255.255.255"),
    *("192.0.1.1", "192.167.255.255", "192.169.0.1", "198.17.255.255"),
    *("198.20.0.1", "203.0.112.255", "223.255.255.255"),
    *("2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888"),
    *("2001:200::1", "2001:db7::1", "2001:db9::1", "3fef::1", "2620:fe::fe"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"),
    *("2001:0:808:808::f7f7:f7f7", "2606:4700::5efe:8.8.8.8"),
)
# Forms that some programs read as an address and others do not, all of this machine
# or of its network; and what is no address of the web at all.
ODD = (
    *("http://2130706433/", "http://0x7f000001/", "http://017700000001/"),
    *("http://127.1/", "http://127.0.1/", "http://0177.0.0.1/", "http://0x7f.0.0.1/"),
    *("http://127.0.0.01/", "http://127.0.0.1./", "http://0/", "http://0x/"),
    *("http://1/", "http://00000000.0/", "http://4294967295/", "http://4294967296/"),
    *("http://3232235777/", "http://0xa9fea9fe/", "http://0251.0376.0251.0376/"),
    *("http://169.254.43518/", "http://0xA9.0xFE.0xA9.0xFE/", "http://10.1/"),
    *("http://256.256.256.256/", "http://1.2.3.4.5/", "http://example.1/"),
    *("http://%31%32%37.0.0.1/", "http://127%2e0%2e0%2e1/", "http://%6c/"),
    *(
        "http://①②⑦.⓪.⓪.①/",
        "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
        "http://127。0。0。1/",
    ),
    *("http://127.0.0.1\uff0e/", "http://\uff11\uff10.0.0.1/"),
    *("http://[::1%25lo]/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/"),
    *("http://[::]:80/", "http://[0:0:0:0:0:0:0:1]/", "http://[0000::0001]/"),
    *("http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:ffff:7f00:0001]/"),
    *("http://[::127.0.0.1]/", "http://[::FFFF:127.0.0.1]:8000/x"),
    *("http://user@public.test/", "http://user:word@public.test/", "http://@10.0.0.1/"),
    *("http://public.test@127.0.0.1/", "http://127.0.0.1:80@public.test/"),
    *("http://public.test:80@10.0.0.1/", "http://public.test%40127.0.0.1/"),
    *("http://public.test\\@127.0.0.1/", "http://127.0.0.1\\@public.test/"),
    *("http://public.test\\.internal.test/", "http://127.0.0.1#@public.test/"),
    *("http://127.0.0.1?@public.test/", "http://127.0.0.1/public.test"),
    *("http:\\\\127.0.0.1\\", "http:/127.0.0.1/", "http:127.0.0.1", "http:////x/"),
    *("http://public.test:0/", "http://public.test:65536/", "http://public.test:x/"),
    *("http://public.test:-1/", "http:///", "http://:80/", "http://", "http://?"),
    *("http://public .test/", "http://public.test%00/", "http://pub\0lic.test/"),
    *("http://a..test/", "http://.test/", "http://-/", "http://*.test/", "http://../"),
    *("http://[/", "http://[]/", "http://[::1/", "http://[::g]/", "http://[v1.x/"),
    *("", " ", "/", "//public.test/", "public.test", "public.test:80", "?", "#"),
    *("ftp://public.test/", "file:///etc/passwd", "file://public.test/etc/passwd"),
    *("gopher://public.test/", "ws://public.test/", "dict://127.0.0.1:11211/stat"),
    *("javascript:alert(1)", "data:,x", "about:blank", "jar:http://public.test!/"),
    *("unix:///var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/"),
    *(
        "ldap://127.0.0.1/",
        "smb://10.0.0.1/x",
        "hTTps:",
        "https",
        "httpx://public.test",
    ),
    "http://public.test/" + "x" * 9_000,
    "http://" + "a." * 200 + "test/",
    "http://" + "a" * 64 + ".test/",
)
# Names that are asked for, and what they lead to.
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "a.localhost": ["127.0.0.1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "metadata.google.internal": ["169.254.169.254"],
    "metadata": ["169.254.169.254"],
    "instance-data": ["169.254.169.254"],
    "internal.test": ["10.0.0.7"],
    "127.0.0.1.nip.test": ["127.0.0.1"],
    "mixed.test": ["8.8.8.8", "10.0.0.1"],
    "mixed-too.test": ["10.0.0.1", "8.8.8.8"],
    "mixed-six.test": ["2606:4700:4700::1111", "::1"],
    "zone.test": ["fe80::1%2"],
    "xn--bcher-kva.internal.test": ["192.168.0.2"],
    "public.test": ["8.8.8.8"],
    "other.test": ["1.1.1.1"],
    "xn--bcher-kva.test": ["11.0.0.1"],
    "both.test": ["2606:4700:4700::1111", "8.8.8.8"],
    "under_score.test": ["1.1.1.1"],
    "0x7f.test": ["1.1.1.1"],
}
ALLOWED_FORMS = (
    *("http://public.test", "http://public.test/", "HTTP://PUBLIC.TEST/A%20b?x=1#y"),
    *("http://public.test:8080/", "http://public.test:22/", "http://public.test:1/"),
    *("http://public.test./", "http://bücher.test/ä?ö=ü", "http://both.test/x"),
    *("http://under_score.test/", "http://0x7f.test/", "http://8.8.8.8:65535/x"),
    *("http://public.test/?u=http://127.0.0.1/", "http://public.test/@10.0.0.1"),
    *("http://public.test/\\@127.0.0.1", "http://[2606:4700:4700:0:0:0:0:1111]/"),
    *("http://public.test/127.0.0.1", "http://public.test//127.0.0.1/../.."),
    " http://public.test/",
)


def never() -> list[str]:
    """What must not be connected to under any setting."""
    return [
        *(_url(address) for address in NEVER),
        *(f"http://{_name(address)}/x" for address in NEVER),
    ]


def refused() -> list[str]:
    """What must not be connected to, as long as no setting opens it."""
    hidden = (*NEVER, *PRIVATE)
    bad_names = [name for name, found in NAMES.items() if not {*found} <= {*PUBLIC}]
    return [
        *ODD,
        *(_url(address) for address in hidden),
        *(f"https://{_name(address)}:8443/x" for address in hidden),
        *(f"http://{name}/latest/meta-data/" for name in bad_names),
    ]


def allowed() -> list[str]:
    """What must work."""
    return [
        *ALLOWED_FORMS,
        *(_url(address) for address in PUBLIC),
        *(f"http://{_name(address)}/x" for address in PUBLIC),
    ]


async def lookup(host: str, port: int) -> list[str]:
    """Answer as a resolver does that knows `NAMES`, and a name for each address."""
    name = host.rstrip(".")
    known = {_name(address): [address] for address in (*NEVER, *PRIVATE, *PUBLIC)}
    try:
        return {**known, **NAMES}[name]
    except KeyError:
        raise OSError(f"no such name: {host}") from None


def _url(address: str) -> str:
    return f"http://[{address}]/x" if ":" in address else f"http://{address}/x"


def _name(address: str) -> str:
    return "to-" + address.replace(".", "-").replace(":", "_") + ".test"
