"""Lines of a file as people have it: whatever ends them, and in the encodings that spreadsheets write.

| written by                                             | encoding                       | lines end with |
|--------------------------------------------------------|--------------------------------|----------------|
| Google Sheets, Numbers, LibreOffice, programs          | UTF-8                          | LF or CRLF     |
| Excel, "CSV UTF-8"                                     | UTF-8 with a byte order mark   | CRLF           |
| Excel, "Unicode Text"; LibreOffice, if asked for it    | UTF-16 with a byte order mark  | CRLF           |
| Excel, "CSV (Macintosh)"                               | Mac OS Roman                   | CR             |
| Excel, "CSV" and "Text"; LibreOffice, if asked for it  | the system's (windows-1252...) | CRLF           |

The last two can't be told from each other by their bytes, and a guess that is wrong spoils names without a word: so
they are read where somebody says which encoding it is, or where a line is ASCII.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from swapjobs.contract.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOM: Final = "\ufeff"
_ASCII: Final = '\n\r\t,;|"{}:+~azAZ09'
_OTHER_FILES: Final = {
    b"PK\x03\x04": 'is a workbook (Excel, LibreOffice, Numbers) or a zip file; save the sheet as "CSV UTF-8"',
    b"\xd0\xcf\x11\xe0": 'is an Excel workbook; save the sheet as "CSV UTF-8"',
    b"\x1f\x8b": "is packed with gzip; unpack it first",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it first",
}


class Readable(Protocol):
    """What rows are read from: a file, or the body of a request."""

    def readline(self, limit: int, /) -> bytes:
        """Return a line, or its first `limit` bytes; nothing at the end."""


class Position(NamedTuple):
    """How far a stream was read: in bytes and in lines."""

    offset: int
    line: int


START: Final = Position(0, 0)


class Line(NamedTuple):
    """A line without what ends it, or what is wrong with it, and where the next one begins."""

    number: int
    text: str
    after: Position
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """How the bytes of a file become lines."""

    encoding: str
    end: bytes

    @property
    def width(self) -> int:
        """Bytes of the smallest unit."""
        return len(self.end)


def check_encoding(name: str) -> str:
    """Return the codec's own name.

    Raises:
        InvalidRequest: there is no such encoding, or lines can't be found in it.
    """
    try:
        codec = codecs.lookup(name).name
        if codec.startswith("utf-16") or _ASCII.encode(codec) == _ASCII.encode("ascii"):
            return codec
    except (LookupError, UnicodeError, ValueError):
        pass
    raise InvalidRequest(
        f"encoding {name!a}: must be one like utf-8, utf-16, windows-1252, mac-roman or gb18030", field="encoding"
    )


def format_of(head: bytes, encoding: str | None) -> Format:
    """Return the format of a file that begins with `head`, its first line or more.

    Raises:
        ValueError: it is no text; the message says what it is, and what to do.
    """
    for magic, what in _OTHER_FILES.items():
        if head.startswith(magic):
            raise ValueError(what)
    if head.startswith(codecs.BOM_UTF16_BE) or (head[:1] == b"\0" and head[1:2] > b"\0"):
        return Format("utf-16-be", b"\0\n")
    is_little = head.startswith(codecs.BOM_UTF16_LE) or (head[:1] > b"\0" and head[1:2] == b"\0")
    if is_little or (encoding or "").startswith("utf-16"):
        return Format("utf-16-le", b"\n\0")
    return Format(encoding or "utf-8", b"\r" if b"\r" in head and b"\n" not in head else b"\n")


class LineReader:
    """The lines of a stream from `start` on; one longer than `limit` bytes costs itself only.

    Args:
        stream: What is read; when it was read before, `ahead` are the bytes that were taken from it.
        kind: Encoding and line ends.
        limit: Bytes.
        start: Where the stream stands, but for `ahead`.
        ahead: See `stream`.
    """

    def __init__(self, stream: Readable, kind: Format, limit: int, start: Position = START, ahead: bytes = b"") -> None:
        self._stream, self._kind, self._limit = stream, kind, limit
        self._offset, self._number = start
        self._pending = ahead

    def __iter__(self) -> Iterator[Line]:
        """Yield them; a stream that waits for more is asked only when nothing whole is left."""
        encoding, limit = self._kind.encoding, self._limit
        while raw := self._take():
            self._number += 1
            after = Position(self._offset, self._number)
            if len(raw) > limit:
                yield Line(self._number, "", after, f"is longer than {limit} bytes")
                continue
            try:
                text = raw.decode(encoding).rstrip("\r\n")
            except UnicodeDecodeError:
                yield Line(self._number, "", after, _not_in(encoding))
            else:
                yield Line(self._number, text.removeprefix(_BOM) if self._number == 1 else text, after)

    def _take(self) -> bytes:
        """Return the next line with its end, or more than `limit` bytes of one that is too long."""
        if not self._pending and self._kind.end == b"\n":  # as nearly all files are: such a line is read in one go
            self._pending = self._stream.readline(self._limit + 1)
            if not self._pending or self._pending.endswith(b"\n"):
                line, self._pending = self._pending, b""
                self._offset += len(line)
                return line
        begin = 0
        while (end := self._end(begin)) < 0:
            begin = max(len(self._pending) - self._kind.width, 0)
            if len(self._pending) > self._limit:
                return self._skip()
            piece = self._stream.readline(self._limit + 1)
            if not piece:
                end = len(self._pending)
                break
            self._pending += piece
        line, self._pending = self._pending[:end], self._pending[end:]
        self._offset += len(line)
        return line

    def _skip(self) -> bytes:
        head = self._pending
        while (end := self._end(0)) < 0:
            # What may be the first half of its end stays.
            left = len(self._pending) % self._kind.width
            self._offset += len(self._pending) - left
            self._pending = self._pending[len(self._pending) - left :]
            piece = self._stream.readline(self._limit)
            if not piece:
                end = len(self._pending)
                break
            self._pending += piece
        self._offset += end
        self._pending = self._pending[end:]
        return head

    def _end(self, begin: int) -> int:
        """Return where the first line of what is pending ends, behind its end; -1 where it does not."""
        width = self._kind.width
        at = self._pending.find(self._kind.end, begin - begin % width)
        while at % width and at >= 0:
            at = self._pending.find(self._kind.end, at + 1)
        return at + width if at >= 0 else -1


def _not_in(encoding: str) -> str:
    if encoding != "utf-8":
        return f"is not {encoding}"
    return (
        'is not UTF-8; save the file as "CSV UTF-8", or say which encoding it has: --encoding windows-1252 (often what'
        " Excel writes), over HTTP charset=windows-1252"
    )
