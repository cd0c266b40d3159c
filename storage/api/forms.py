"""A multipart form, taken apart as it arrives: its file goes to disk, not to memory.

For one thread at a time. Loaded by the first upload: most processes see none.
"""

from __future__ import annotations

from typing import Any, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from nodetool_site.lib.errors import BadRequest, PayloadTooLarge
from storage.files import Draft
from storage.media_types import DEFAULT_TYPE, content_type_of
from storage.quotas import Room

FILE = "file"
MAX_PARTS = 32
MAX_FIELD_BYTES = 256 * 1024
MAX_FIELDS_BYTES = 512 * 1024
IDENTITY_ENCODINGS = ("", "binary", "7bit", "8bit")


class FormReader:
    """One file part called ``file``, and text parts.

    Every method may raise ``BadRequest``, ``PayloadTooLarge`` and ``StorageFull``;
    ``discard`` then, and at the end.
    """

    def __init__(self, content_type: str, room: Room) -> None:
        options = parse_options_header(content_type)[1]
        boundary = options.get(b"boundary")
        if not boundary:
            raise BadRequest("The multipart/form-data header names no boundary")
        self._room = room
        self._parser = _parser(boundary, self)
        self._parts = 0
        self._fields_size = 0
        self._is_complete = False
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._field: tuple[str, bytearray] | None = None
        self._is_in_file = False
        self.fields: dict[str, str] = {}
        self.file: Draft | None = None
        self.file_name = ""
        self.file_type = ""

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadRequest("The multipart body is malformed") from error

    def finish(self) -> None:
        """Check that the body is complete."""
        if not self._is_complete:
            raise BadRequest("The multipart body is cut off")

    def discard(self) -> None:
        """Remove the file, unless it was kept."""
        if self.file is not None:
            self.file.discard()

    # --- called by the parser

    def on_part_begin(self) -> None:
        """Begin a part."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadRequest(f"The form has more than {MAX_PARTS} parts")
        self._headers = {}
        self._field, self._is_in_file = None, False

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Gather the name of a header."""
        self._header[0].extend(data[start:end])

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Gather the value of a header."""
        self._header[1].extend(data[start:end])

    def on_header_end(self) -> None:
        """Keep a header."""
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def on_headers_finished(self) -> None:
        """Decide what the part is."""
        options = parse_options_header(self._headers.get(b"content-disposition"))[1]
        name = options.get(b"name", b"").decode("utf-8", "replace")
        encoding = self._headers.get(b"content-transfer-encoding", b"").decode(
            "latin-1"
        )
        if encoding.strip().lower() not in IDENTITY_ENCODINGS:
            raise BadRequest("Parts of a form must be sent as they are, not encoded")
        if b"filename" not in options:
            if name == FILE:
                raise BadRequest("The part 'file' must be a file, with a filename")
            self._field = (name, bytearray())
        elif name != FILE:
            raise BadRequest("The only file of the form must be called 'file'")
        else:
            self._begin_file(options[b"filename"].decode("utf-8", "replace"))

    def _begin_file(self, path: str) -> None:
        if self.file is not None:
            raise BadRequest("The form has more than one file")
        self._is_in_file = True
        self.file = Draft()
        self.file_name = path.replace("\\", "/").rpartition("/")[2]
        said = self._headers.get(b"content-type", b"").decode("latin-1").strip()
        is_vague = not said or said.lower() == DEFAULT_TYPE
        self.file_type = content_type_of(self.file_name) if is_vague else said

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Keep a piece of a part."""
        if self._is_in_file:
            assert self.file is not None
            self._room.check(self.file.size + end - start)
            self.file.append(memoryview(data)[start:end])
            return
        assert self._field is not None
        self._fields_size += end - start
        text = self._field[1]
        text.extend(data[start:end])
        if len(text) > MAX_FIELD_BYTES or self._fields_size > MAX_FIELDS_BYTES:
            raise PayloadTooLarge("The texts of the form are too long")

    def on_part_end(self) -> None:
        """End a part."""
        if self._field is None:
            return
        name, text = self._field
        if name in self.fields:
            raise BadRequest(f"The form has more than one part '{name[:100]}'")
        try:
            self.fields[name] = text.decode()
        except UnicodeDecodeError as error:
            raise BadRequest("The texts of the form must be UTF-8") from error

    def on_end(self) -> None:
        """See the last boundary."""
        self._is_complete = True


def _parser(boundary: bytes, reader: FormReader) -> MultipartParser:
    names = (
        "on_part_begin",
        "on_part_data",
        "on_part_end",
        "on_header_field",
        "on_header_value",
        "on_header_end",
        "on_headers_finished",
        "on_end",
    )
    try:
        callbacks = cast("Any", {name: getattr(reader, name) for name in names})
        return MultipartParser(boundary, callbacks)
    except FormParserError as error:
        raise BadRequest("The boundary of the form is too long") from error
