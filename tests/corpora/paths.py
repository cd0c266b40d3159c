"""Paths that try to leave a folder, and odd names that are as good as any other."""

from collections.abc import Iterator
from itertools import product

UPS = (
    "..",
    "../",
    "..//",
    "./..",
    "a/..",
    "a/../..",
    "a/./../../",
    "..;",
    "...",
    "....//",
    "..././",
    ".. ",
    " ..",
    "..\t",
    "..\n",
    "..\0",
    "%2e%2e",
    "%2e%2e%2f",
    "..%2f",
    "%252e%252e%252f",
    "..%c0%af",
    "%c0%ae%c0%ae/",
    "..%5c",
    "..\\",
    ".\\.\\..",
    "\u2025",
    "\uff0e\uff0e",
    "\u2024\u2024",
    "..\u2215",
    "..\uff0f",
    "..\u202e",
    "..\ud800",
)
TARGETS = (
    "/etc/passwd",
    "/secret.txt",
    "/bob/secret.txt",
    "/../../../../../../../../etc/passwd",
    "/../secret.txt",
    "/proc/self/environ",
)
ABSOLUTE = (
    "/",
    "//",
    "///etc/passwd",
    "/etc/passwd",
    "/etc/passwd\0.txt",
    "/./etc/passwd",
    "//etc/passwd",
    "/proc/self/environ",
    "/proc/self/root/etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "\\etc\\passwd",
    "\\\\server\\share\\a.txt",
    "\\\\?\\C:\\a.txt",
    "C:\\Windows\\win.ini",
    "C:Windows\\win.ini",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "file://localhost/etc/passwd",
    "asset://../../etc/passwd",
    "memory://../secret",
    "http://localhost/../secret.txt",
    "~/.ssh/id_rsa",
    "~root/.profile",
    "$HOME/.ssh/id_rsa",
    "${HOME}/.ssh/id_rsa",
    "%HOME%/.ssh",
    "`id`",
    "$(id)",
    "| id",
    "-rf",
    "--",
    "a\0b",
    "\0",
    "",
    " ",
    ".",
    "./",
    "./.",
    "*",
    "**/*",
    "?",
    "[a-z]",
    "{a,b}",
    "\n/etc/passwd",
    "\r\n../secret.txt",
    "a" * 300,
    "a/" * 5_000,
    "../" * 2_000 + "etc/passwd",
    "\ud800",
    "\udfff.txt",
    "\x7f",
    "\x1b[2J",
    "con/../../secret.txt",
    "aux",
    "nul",
    ".nodetool-draft",
    ".htaccess",
    "..",
    "link/../../secret.txt",
)

# Odd, but names like any other.
NAMES = (
    "a.txt",
    "A.TXT",
    "no extension",
    "with space.txt",
    " leading space",
    ".hidden",
    "...",
    "..a",
    "a..",
    "a..b.txt",
    "-dash.txt",
    "--flag=x",
    "~tilde",
    "$HOME.txt",
    "%2e%2e",
    "%00.txt",
    "100%.txt",
    "a:b.txt",
    "a;b|c&d.txt",
    "a'b\"c.txt",
    "<b>.html",
    "a,b=c+d@e!f#g.txt",
    "(copy) [1] {2}.txt",
    "übergrößenträger.txt",
    "日本語.txt",
    "файл.txt",
    "עברית.txt",
    "e\u0301.txt",
    "👨‍👩‍👧.txt",
    "🙂.png",
    "CON",
    "nul.txt",
    "x" * 200 + ".txt",
    "ü" * 120,
)
FOLDERS = (
    "",
    "a/",
    "./",
    "a//b/",
    "a/./b/",
    "deep/" * 10,
    "übung/日本/",
    "with space/",
)


def hostile() -> list[str]:
    """Return every hostile path once."""
    return list(dict.fromkeys(_hostile()))


def _hostile() -> Iterator[str]:
    yield from ABSOLUTE
    for up, target in product(UPS, TARGETS):
        yield up + target
        yield f"a/{up}{target}"
    for up in UPS:
        yield up
        yield up * 8 + "etc/passwd"


def controls() -> list[str]:
    """Return paths that must work."""
    plain = [folder + name for folder in FOLDERS for name in NAMES[:6]]
    return list(dict.fromkeys([*NAMES, *plain]))
