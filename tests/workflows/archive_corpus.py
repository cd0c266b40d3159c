"""Archives to refuse, each with a part of the reason, and archives that must pass."""

import gzip
import io
import json
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial

from tests.workflows.graphs import echo_graph
from tests.workflows.zip_bytes import (
    DEFLATED,
    UTF8,
    Entry,
    deflate,
    make_zip,
    zip64_extra,
)

MIB = 1024**2
REQUEST = {"name": "Bundled", "graph": echo_graph()}
FOUR_BYTES_FULL = 0xFFFFFFFF

Case = tuple[str, Callable[[], bytes], str]


def workflow(document: object = REQUEST, **fields: object) -> Entry:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Entry(name=b"workflow.json", data=data, **fields)


def asset(name: str = "a.png", data: bytes = b"pixels", **fields: object) -> Entry:
    return Entry(name=f"assets/{name}".encode(), data=data, **fields)


def with_workflow(*entries: Entry, **fields: object) -> bytes:
    return make_zip(workflow(), *entries, **fields)


def hostile() -> Iterator[Case]:
    """Yield every case: its name, what makes the archive, a part of the reason."""
    yield from _names()
    yield from _kinds()
    yield from _twice()
    yield from _sizes()
    yield from _overlaps()
    yield from _broken()
    yield from _contents()


UNSAFE_NAMES = {
    "climbs": b"../evil",
    "climbs out of assets": b"assets/../../evil",
    "climbs at the end": b"assets/..",
    "is the parent": b"..",
    "is the folder itself": b".",
    "stands still": b"assets/./x.png",
    "is absolute": b"/etc/passwd",
    "is the root": b"/",
    "is a share": b"//server/share",
    "is a share of Windows": b"\\\\server\\share",
    "has a drive": b"C:/evil",
    "has a drive and backslashes": b"C:\\evil",
    "climbs by backslash": b"..\\evil",
    "has a backslash": b"assets\\x.png",
    "has an empty step": b"assets//x.png",
    "is empty": b"",
    "has a NUL": b"assets/x.png\0.exe",
    "hides behind a NUL": b"workflow.json\0",
    "has a line feed": b"assets/x\n.png",
    "has an escape": b"assets/\x1b[31m.png",
    "is too long": b"assets/" + b"x" * 600,
    "is deep": b"assets/" + b"x/" * 300,
}


def _names() -> Iterator[Case]:
    for what, name in UNSAFE_NAMES.items():
        entry = Entry(name=name, data=b"x")
        yield f"name that {what}", partial(with_workflow, entry), "unsafe name"
    control = Entry(name="assets/\x85.png".encode(), flags=UTF8)
    yield "name with a C1 control", partial(with_workflow, control), "unsafe name"
    garbled = Entry(name=b"assets/\xff\xfe.png", flags=UTF8)
    yield "name that is no UTF-8", partial(with_workflow, garbled), "broken"


def _kinds() -> Iterator[Case]:
    modes = {
        "symlink": stat.S_IFLNK,
        "pipe": stat.S_IFIFO,
        "character device": stat.S_IFCHR,
        "block device": stat.S_IFBLK,
        "socket": stat.S_IFSOCK,
    }
    for what, mode in modes.items():
        entry = asset(data=b"/etc/passwd", mode=mode | 0o777)
        yield what, partial(with_workflow, entry), "a link or a device"
    link = workflow(b"/etc/passwd", mode=stat.S_IFLNK | 0o777)
    yield "workflow that is a symlink", partial(make_zip, link), "a link or a device"
    for flag in (0x1, 0x40, 0x2000):
        entry = asset(flags=flag)
        yield f"encrypted by flag {flag:#x}", partial(with_workflow, entry), "encrypted"
    for method in (1, 6, 9, 12, 14, 93, 99):
        entry = asset(method=method)
        yield f"method {method}", partial(with_workflow, entry), "another method"
    patch = asset(flags=0x20)
    yield "patch data", partial(with_workflow, patch), "broken"
    folder = Entry(name=b"assets/x/", data=b"content")
    yield "folder with content", partial(with_workflow, folder), "has content"


def _twice() -> Iterator[Case]:
    yield "two workflows", partial(make_zip, workflow(), workflow()), "twice"
    yield "two files", partial(with_workflow, asset(), asset()), "twice"
    both = (asset("é.png", flags=UTF8), asset("e\u0301.png", flags=UTF8))
    yield "one name in two codings", partial(with_workflow, *both), "twice"
    folder = Entry(name=b"assets/x/")
    yield "file and folder", partial(with_workflow, folder, asset("x")), "twice"


def _sizes() -> Iterator[Case]:
    zeros = partial(asset, method=DEFLATED)
    large = 101 * MIB
    huge = zeros(packed=b"x" * MIB, size=large)
    yield "file of 101 MiB", partial(with_workflow, huge), "in one file"
    eleven = [zeros(f"{n}", packed=b"x" * MIB, size=100 * MIB) for n in range(11)]
    yield "1.1 GiB in all", partial(with_workflow, *eleven), "1073741824 are allowed"
    many = [Entry(name=b"%d" % n) for n in range(10_000)]
    yield "10,001 entries", partial(with_workflow, *many), "10001 entries"
    bomb = zeros(data=bytes(10 * MIB))
    yield "bomb", partial(with_workflow, bomb), "200 times"
    small = [zeros(f"{n}", data=bytes(MIB)) for n in range(20)]
    yield "bomb in small files", partial(with_workflow, *small), "200 times"
    two = asset(size=7)
    yield "stored in two sizes", partial(with_workflow, two), "two sizes"
    short = zeros(data=b"x" * 5000, size=4000)
    yield "longer than it says", partial(with_workflow, short), "broken"
    long = zeros(data=b"x" * 5000, size=6000)
    yield "shorter than it says", partial(with_workflow, long), "shorter"
    full = asset(size=FOUR_BYTES_FULL, packed_size=FOUR_BYTES_FULL)
    yield "4 GiB", partial(with_workflow, full), "in one file"
    extra = zip64_extra(2**63, 2**63)
    beyond = asset(size=FOUR_BYTES_FULL, packed_size=FOUR_BYTES_FULL, extra=extra)
    yield "2^63 bytes", partial(with_workflow, beyond), "in one file"
    torn = asset(size=FOUR_BYTES_FULL, extra=zip64_extra(1)[:6])
    yield "sizes cut off", partial(with_workflow, torn), "broken"
    packed = deflate(bytes(20 * MIB) + _noise(140_000))
    size = 20 * MIB + 140_000
    slow = [zeros(f"{n}", packed=packed, size=size, crc=0) for n in range(3)]
    yield "60 MiB of another checksum", partial(with_workflow, *slow), "broken"


def _overlaps() -> Iterator[Case]:
    same = asset("b.png", offset=len(workflow().local()))
    yield (
        "two names for one file",
        partial(with_workflow, asset(), same),
        "shares bytes",
    )
    itself = workflow(offset=0)
    again = asset(offset=0)
    yield "file at the workflow's place", partial(make_zip, itself, again), "shares"
    kernel = bytes(range(256)) * 256
    many = [asset(f"{n}", kernel, offset=60) for n in range(50)]
    yield "bomb of overlapping files", partial(with_workflow, *many), "shares bytes"
    inner = make_zip(workflow(), asset())
    quoted = asset("quoted", inner)
    inside = asset("inside", offset=len(workflow().local()) + 60)
    yield "file inside another", partial(with_workflow, quoted, inside), "shares"
    beyond = asset(offset=10_000)
    yield "file beyond the end", partial(with_workflow, beyond), "shares bytes"
    in_directory = asset(packed_size=2_000, size=2_000)
    yield "file into the directory", partial(with_workflow, in_directory), "shares"


def _broken() -> Iterator[Case]:
    whole = with_workflow(asset(data=b"x" * 1000))
    yield "nothing", bytes, "not a zip file"
    yield "text", partial(bytes, b"{}" * 100), "not a zip file"
    yield "first half", partial(bytes, whole[: len(whole) // 2]), "not a zip file"
    yield "without its end", partial(bytes, whole[:-22]), "not a zip file"
    yield "last byte missing", partial(bytes, whole[:-1]), "not a zip file"
    yield "first half missing", partial(bytes, whole[len(whole) // 2 :]), ""
    yield "end alone", make_zip, "no workflow.json"
    yield "gzip", partial(gzip.compress, b"{}"), "not a zip file"
    yield "tar", _tar, "not a zip file"
    bad = asset(crc=1)
    yield "checksum of a file", partial(with_workflow, bad), "broken"
    yield "checksum of the workflow", partial(make_zip, workflow(crc=1)), "broken"
    mangled = asset(method=DEFLATED, packed=b"\xff" * 50, size=1000)
    yield "nonsense to unpack", partial(with_workflow, mangled), "broken"
    headless = asset(local_magic=b"PK\x00\x00")
    yield "no header", partial(with_workflow, headless), "broken"
    renamed = asset(local_name=b"assets/b.png")
    yield "other name in the header", partial(with_workflow, renamed), "broken"
    odd = asset(central_magic=b"PK\x00\x00")
    yield "no directory", partial(with_workflow, odd), "broken"
    lie = partial(with_workflow, directory_size=FOUR_BYTES_FULL - 1)
    yield "directory of 4 GiB", lie, "broken"
    room = b"\0" * (5 * MIB)
    wide = partial(
        with_workflow, before_end=room, directory_size=5 * MIB, directory_offset=0
    )
    yield "directory of 5 MiB", wide, "directory is larger"
    comments = [asset(f"{n}", comment=b"x" * 65_535) for n in range(70)]
    yield (
        "comments of 4.5 MiB",
        partial(with_workflow, *comments),
        "directory is larger",
    )
    moved = partial(with_workflow, directory_offset=FOUR_BYTES_FULL - 1)
    yield "directory elsewhere", moved, "shares bytes"
    second_end = b"PK\x05\x06" + bytes(18)
    hidden = partial(with_workflow, comment=second_end)
    yield "second end in the comment", hidden, ""
    locator = b"PK\x06\x07" + b"\xff" * 16
    nowhere = partial(with_workflow, before_end=locator)
    yield "large directory that is nowhere", nowhere, ""


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("workflow.json"))
    return file.getvalue()


def _contents() -> Iterator[Case]:
    yield "no workflow", partial(make_zip, asset()), "no workflow.json"
    folder = Entry(name=b"workflow.json/")
    yield "workflow that is a folder", partial(make_zip, folder), "no workflow.json"
    lower = Entry(name=b"bundle/workflow.json", data=b"{}")
    yield "workflow in a folder", partial(make_zip, lower), "no workflow.json"
    nested = asset("bundle.zip", with_workflow())
    yield "bundle in a bundle", partial(make_zip, nested), "no workflow.json"
    texts = {
        "no JSON": (b"{", "Invalid JSON"),
        "empty": (b"", "Invalid JSON"),
        "no UTF-8": (b'{"name": "\xff"}', "Invalid JSON"),
        "NaN": (b'{"name": NaN}', "Invalid JSON"),
        "half a surrogate": (b'{"name": "\\ud800"}', "Invalid JSON"),
        "one key twice": (b'{"name": "a", "name": "b"}', "twice"),
        "list": (b"[]", "no JSON object"),
        "deep": (b"[" * 100_000, "nested too deeply"),
        "too many lists": (b"[" + b"[]," * 600_000 + b"0]", "over 100000"),
        "no workflow in it": (b'{"workflows": []}', "0 workflows"),
        "two in it": (b'{"workflows": [{}, {}]}', "2 workflows"),
        "number in it": (b'{"workflows": [1]}', "no JSON object"),
    }
    for what, (text, reason) in texts.items():
        yield f"workflow: {what}", partial(make_zip, workflow(text)), reason
    blank = workflow(b"{}" + b" " * (21 * MIB))
    yield "workflow of 21 MiB", partial(make_zip, blank), "larger than"
    manifests = {
        "no JSON": b"{",
        "another shape": b'{"assets": 1}',
        "path that is no text": b'{"assets": [{"path": 1}]}',
        "NUL": b'{"assets": [{"path": "x", "metadata": {"a": "\\u0000"}}]}',
    }
    for what, text in manifests.items():
        entry = Entry(name=b"manifest.json", data=text)
        yield f"manifest: {what}", partial(with_workflow, entry), "not readable"


def controls() -> Iterator[tuple[str, bytes, list[bytes]]]:
    """Yield archives that must pass, and the files that must come out of each."""
    yield "smallest", with_workflow(), []
    yield "deflated", make_zip(workflow(method=DEFLATED), asset()), [b"pixels"]
    request = {**REQUEST, "access": "private", "id": "chosen", "extra": 1}
    yield "workflow of the API", make_zip(workflow(request)), []
    yield "bare graph", make_zip(workflow(echo_graph())), []
    yield "list of one", make_zip(workflow({"workflows": [REQUEST]})), []
    folders = (Entry(name=b"assets/"), Entry(name=b"assets/sub/"), asset("sub/a.png"))
    yield "folders", with_workflow(*folders), [b"pixels"]
    litter = (
        Entry(name=b"__MACOSX/._workflow.json", data=b"x"),
        Entry(name=b".DS_Store", data=b"x"),
        Entry(name=b"README.md", data=b"x"),
    )
    yield "what systems leave in archives", with_workflow(*litter), []
    inner = with_workflow(asset())
    yield "archive as a file", with_workflow(asset("inner.zip", inner)), [inner]
    yield "empty file", with_workflow(asset(data=b"")), [b""]
    names = ("a..b.png", "..x", "...", " x .png", "%2e%2e%2f.png", "-rf", "~", "CON")
    odd = [asset(name, name.encode()) for name in names]
    yield "odd but valid names", with_workflow(*odd), [n.encode() for n in names]
    family = asset("👨‍👩‍👧 grüße.png", flags=UTF8)
    yield "names in UTF-8", with_workflow(family), [b"pixels"]
    cased = (asset("a.png", b"1"), asset("A.png", b"2"))
    yield "names that differ in case", with_workflow(*cased), [b"1", b"2"]
    modes = (asset("f", mode=stat.S_IFREG | 0o644), asset("x", mode=0o755))
    yield "modes", with_workflow(*modes), [b"pixels"] * 2
    zeros = asset(data=bytes(MIB), method=DEFLATED)
    yield "small file that shrinks", with_workflow(zeros), [bytes(MIB)]
    padded = asset(data=bytes(2 * MIB) + _noise(20_000), method=DEFLATED)
    yield "large file that shrinks", with_workflow(padded), [padded.data]
    yield "comment", with_workflow(comment=b"x" * 65_535), []
    yield "comments", with_workflow(asset(comment=b"y" * 1000)), [b"pixels"]
    extra = b"\x99\x99\x04\x00abcd"
    yield "unknown extra field", with_workflow(asset(extra=extra)), [b"pixels"]
    many = [asset(f"{n}", b"%d" % n) for n in range(100)]
    yield "100 files", with_workflow(*many), [b"%d" % n for n in range(100)]
    yield "streamed", _streamed(), [b"pixels" * 1000]
    yield "with the fields of large archives", _large_form(), [b"pixels"]


def _noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError


def _streamed() -> bytes:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("workflow.json", json.dumps(REQUEST))
        archive.writestr("assets/a.png", b"pixels" * 1000)
    return pipe.getvalue()


def _large_form() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("workflow.json", json.dumps(REQUEST))
        with archive.open("assets/a.png", "w", force_zip64=True) as entry:
            entry.write(b"pixels")
    return file.getvalue()
