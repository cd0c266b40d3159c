"""ZIP files byte by byte, so that each field can be a lie."""

import struct
import zlib
from dataclasses import dataclass
from typing import Any

STORED, DEFLATED = 0, 8
UTF8 = 0x800
LOCAL = "<4s5H3I2H"
CENTRAL = "<4s4B4H3I5H2I"
END = "<4s4H2IH"


@dataclass(kw_only=True)
class Entry:
    """One entry. What is None is told truthfully."""

    name: bytes
    data: bytes = b""
    method: int = STORED
    flags: int = 0
    mode: int = 0
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    packed: bytes | None = None
    offset: int | None = None
    extra: bytes = b""
    comment: bytes = b""
    local_name: bytes | None = None
    local_magic: bytes = b"PK\x03\x04"
    central_magic: bytes = b"PK\x01\x02"

    def body(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflate(self.data) if self.method == DEFLATED else self.data

    def facts(self) -> tuple[int, int, int]:
        """CRC, packed size and size, as they are to be told."""
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        packed = len(self.body()) if self.packed_size is None else self.packed_size
        return crc, packed, len(self.data) if self.size is None else self.size

    def local(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        fixed = (20, self.flags, self.method, 0, 0x21)
        head = struct.pack(LOCAL, self.local_magic, *fixed, *self.facts(), len(name), 0)
        return head + name + self.body()

    def central(self, offset: int) -> bytes:
        fixed = (20, 3, 20, 0, self.flags, self.method, 0, 0x21)
        lengths = (len(self.name), len(self.extra), len(self.comment))
        place = offset if self.offset is None else self.offset
        head = struct.pack(
            CENTRAL,
            self.central_magic,
            *fixed,
            *self.facts(),
            *lengths,
            0,
            0,
            self.mode << 16,
            place,
        )
        return head + self.name + self.extra + self.comment


def make_zip(
    *entries: Entry,
    comment: bytes = b"",
    directory_size: int | None = None,
    directory_offset: int | None = None,
    before_end: bytes = b"",
) -> bytes:
    """Return an archive of these entries; the two numbers are those of its end."""
    locals_, centrals = [], []
    offset = 0
    for entry in entries:
        centrals.append(entry.central(offset))
        locals_.append(entry.local())
        offset += len(locals_[-1])
    directory = b"".join(centrals)
    count = min(len(entries), 0xFFFF)
    end: Any = struct.pack(
        END,
        b"PK\x05\x06",
        0,
        0,
        count,
        count,
        len(directory) if directory_size is None else directory_size,
        offset if directory_offset is None else directory_offset,
        len(comment),
    )
    return b"".join([*locals_, directory, before_end, end, comment])


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zip64_extra(*numbers: int) -> bytes:
    """The field that holds what is too large for the usual ones."""
    body = struct.pack(f"<{len(numbers)}Q", *numbers)
    return struct.pack("<2H", 1, len(body)) + body
