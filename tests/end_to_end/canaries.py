"""Values that must never come out, and the search for them wherever anything is."""

import base64
import contextlib
import json
import secrets
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import redis

WINDOW = 12
# Whatever is twelve characters long has six that begin at a multiple of seven: so the
# most of a long text need not be looked at.
GRAM, STRIDE = 6, 7
# Where ciphertexts are, which hold everything and tell nothing.
ENCRYPTED = {("storage_secret", "ciphertext"), ("storage_masterkeycheck", "ciphertext")}


def new_canary(number: int) -> str:
    """A value of its own kind: as vendors make them, with signs, with lines."""
    word = secrets.token_urlsafe(24)
    kinds = (
        f"sk-{word}",
        word,
        f'{word[:16]}"\\/+&{word[16:]}',
        f"{word}\n{word[::2]}x",
    )
    return kinds[number % len(kinds)]


def traces(value: str) -> set[bytes]:
    """Every part of twelve characters, of every way in which a value is written."""
    raw = value.encode()
    base64s = [base64.b64encode(b"x" * n + raw).decode() for n in range(3)]
    forms = [
        value,
        value[::-1],
        quote(value, safe=""),
        json.dumps(value)[1:-1],
        base64.urlsafe_b64encode(raw).decode().rstrip("=")[:-1],
        # What stands before the value decides the first characters.
        base64s[0].rstrip("=")[:-1],
        *(text[4:].rstrip("=")[:-1] for text in base64s[1:]),
    ]
    return {
        form[at : at + WINDOW].encode()
        for form in forms
        for at in range(len(form) - WINDOW + 1)
    }


class Search:
    """Where the canaries were looked for, and where one was found."""

    def __init__(self, canaries: dict[str, str]) -> None:
        self._names = {
            part: name for name, value in canaries.items() for part in traces(value)
        }
        self._grams = {
            part[at : at + GRAM] for part in self._names for at in range(STRIDE)
        }
        self.places: set[str] = set()
        self.hits: list[str] = []

    def look(self, place: str, data: bytes | str) -> None:
        data = data.encode() if isinstance(data, str) else data
        self.places.add(place)
        suspicious = (
            range(max(0, at - STRIDE + 1), at + 1)
            for at in range(0, len(data), STRIDE)
            if data[at : at + GRAM] in self._grams
        )
        windows = (data[at : at + WINDOW] for places in suspicious for at in places)
        names = {name for part in windows if (name := self._names.get(part))}
        self.hits += [f"{name} in {place}" for name in sorted(names)]


def look_behind(server, search: Search, seen: list[bytes]) -> None:
    """Search what no answer shows: Redis, the log, the database, the files."""
    if server.backend.redis_url:
        assert b"PUBLISH" in b"".join(seen)
        search.look("Redis: commands, tasks, announcements", b"".join(seen))
        search.look("Redis: what is kept", redis_dump(server))
    search.look("log", server.log())
    for place, data in database_columns(server):
        search.look(f"database {place}", data)
    for file in server.folder.rglob("*"):
        if file.is_file() and file.suffix not in (".sqlite3-shm",):
            search.look(f"file {file.relative_to(server.folder)}", file.read_bytes())


@contextlib.contextmanager
def monitored(server) -> Iterator[list[bytes]]:
    """Every command that Redis gets meanwhile; nothing where there is none."""
    seen: list[bytes] = []
    if not server.backend.redis_url:
        yield seen
        return
    address = server.backend.redis_url.removeprefix("redis://").partition("/")[0]
    host, _, port = address.rpartition(":")
    listener = subprocess.Popen(
        ["redis-cli", "-h", host.rpartition("@")[2], "-p", port, "monitor"],
        stdout=subprocess.PIPE,
    )
    assert listener.stdout is not None
    assert listener.stdout.readline() == b"OK\n"
    try:
        yield seen
    finally:
        listener.terminate()
        seen.append(listener.communicate()[0])


def process_list() -> bytes:
    return subprocess.check_output(["ps", "-eo", "args"])


def redis_dump(server) -> bytes:
    with redis.Redis.from_url(server.backend.redis_url) as client:
        return b"\n".join(key + (client.dump(key) or b"") for key in client.scan_iter())


def database_columns(server) -> Iterator[tuple[str, bytes]]:
    """Every column of every table as bytes, but the encrypted ones."""
    if server.backend.database_url:
        connection = psycopg.connect(server.backend.database_url)
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    else:
        connection = sqlite3.connect(server.folder / "nodetool.sqlite3")
        tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    found: dict[str, list[bytes]] = defaultdict(list)
    with contextlib.closing(connection):
        for (table,) in connection.execute(tables).fetchall():
            rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - ours
            names = [column[0] for column in rows.description]
            for row in rows.fetchall():
                for name, value in zip(names, row, strict=True):
                    if (table, name) not in ENCRYPTED:
                        found[f"{table}.{name}"].append(as_bytes(value))
    for place, values in found.items():
        yield place, b"\n".join(values)


def as_bytes(value: object) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return str(value).encode(errors="replace")
