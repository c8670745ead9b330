"""The vendor's JSON, read leniently: what is plain to a person is plain to us.

More fields, missing fields and numbers for strings do no harm. Neither does what encoders and proxies add: a byte order
mark, another encoding than UTF-8, text around the object (a warning of the program behind it), `data` as JSON text, as
a list of one, or left out with its fields beside `code`. A reply that was paid for is not lost to its wrapping.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, ValidationError

from swapjobs.contract.frozen import Model
from swapjobs.contract.vendor_tools.reply import PICTURE
from swapjobs.contract.vendor_tools.tool_input import is_url

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from swapjobs.contract.vendor_tools.reply import Reply

OK: Final = "200"
_IDS: Final = ("taskId", "task_id", "id_task")
# What stands beside a result in any family, and is none.
_BESIDE: Final = frozenset(
    {
        *("toolTask", "businessTaskId", "desc", "msg", "message", "errorMessage"),
        *("progress", "percentage", "temporaryImageDto"),
    }
)

_RAW_DEFLATE: Final = -15
_WINDOW_BITS: Final = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, _RAW_DEFLATE)}
_LENIENT: Final = json.JSONDecoder(strict=False)  # takes control characters inside strings
_CHINESE: Final = "gb18030"  # what a Chinese service speaks where it is not UTF-8; ASCII is the same in it


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float):
        return str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _whole_number(value: Any) -> int | None:
    text = _text(value)
    return int(text) if text is not None and re.fullmatch(r"\s*[0-9]{1,9}\s*", text, re.ASCII) else None


Text = Annotated[str | None, BeforeValidator(_text)]
WholeNumber = Annotated[int | None, BeforeValidator(_whole_number)]


class TaskData(Model):
    """`data`: how the task stands. What is missing or of another type is None."""

    model_config = ConfigDict(extra="allow", frozen=True)

    task_id: Text = Field(None, validation_alias=AliasChoices(*_IDS))
    status: WholeNumber = None

    @property
    def rest(self) -> dict[str, Any]:
        """All other fields, as they came."""
        return self.model_extra or {}

    @property
    def texts(self) -> list[str]:
        """The strings among them that are no URLs: an error text may be one of them."""
        return [value for value in self.rest.values() if isinstance(value, str) and not is_url(value)]

    @property
    def error_message(self) -> str:
        """What a sister product of the vendor's says of a failure, with `code` and `msg` as if nothing had happened."""
        return _error_message(self.rest)

    def result(self, reply: Reply) -> Any:
        """Return what is there of the result; of a reply that names no field of it, all that is no word about it."""
        if reply.result:
            return self.rest.get(reply.result) or None
        return {name: value for name, value in self.rest.items() if name not in _BESIDE and value is not None} or None

    def is_done(self, reply: Reply) -> bool:
        """Say whether the vendor says that it is done, and says something of the result.

        A result of no known shape counts without a number too, where nothing speaks of a task that would go on.
        """
        if reply.says_finished(self.status):
            return bool(self.result(reply))
        is_bare = self.status is None and self.task_id is None
        return is_bare and not reply.result and bool(reply.finished) and bool(self.result(reply))

    def is_a_task(self, reply: Reply) -> bool:
        """Say whether there is anything of a task in it."""
        return self.task_id is not None or self.status is not None or bool(self.result(reply))


class Envelope(Model):
    """What every reply is wrapped in."""

    model_config = ConfigDict(extra="allow", frozen=True)

    code: Text = None
    msg: Text = None
    data: Any = None

    def task(self, reply: Reply) -> TaskData | None:
        """Return what `data` tells of a task, or what stands in its place where there is no `data`."""
        data = self.data
        if isinstance(data, str):
            data = _object_in(data)
        if isinstance(data, list) and len(data) == 1 and (reply.result or _speaks_of_a_task(data[0])):
            data = data[0]
        if isinstance(data, list) and data and not reply.result:
            data = {"data": data}
        if isinstance(data, dict):
            task = TaskData.model_validate(data)
            return task if task.is_a_task(reply) else None
        # `status` alone is the HTTP status in the error objects of some frameworks; so may be anything else.
        beside = TaskData.model_validate(self.model_extra or {}) if self.data is None else None
        is_task = beside is not None and ((reply.result and beside.result(reply)) or beside.task_id is not None)
        return beside if is_task else None

    @property
    def words(self) -> str:
        """What it says to people: `msg`, or where a sister product of the vendor's puts it."""
        return self.msg or (_error_message(self.data) if isinstance(self.data, dict) else "")

    @property
    def is_vendors(self) -> bool:
        """Say whether it looks like the vendor's own, not like the error object of some proxy or framework."""
        return self.code is not None

    @property
    def says_no_data(self) -> bool:
        """Say whether the call succeeded with `data` sent as null."""
        is_null = self.code == OK and self.data is None and "data" in self.model_fields_set
        return is_null and not any(name in (self.model_extra or {}) for name in (*_IDS, PICTURE.result))

    @property
    def is_empty(self) -> bool:
        """Say whether it holds nothing but `code` and `msg`: then it can't say anything of a task."""
        return not self.data and not self.model_extra


def _error_message(data: Mapping[str, Any]) -> str:
    text = data.get("errorMessage")
    return text if isinstance(text, str) else ""


def _speaks_of_a_task(value: Any) -> bool:
    return isinstance(value, dict) and any(name in value for name in (*_IDS, "status"))


def parse_envelope(body: bytes, hide: Collection[str] = ()) -> Envelope | None:
    """Return the envelope, or None if `body` is not a JSON object.

    What is in `hide` (our credentials, should the vendor quote them) is taken out of the texts that may be shown.
    """
    try:
        envelope = Envelope.model_validate_json(body)
    except ValidationError:
        content = _object_in(_decoded(body))
        if content is None:
            return None
        envelope = Envelope.model_validate(content)
    code, msg = envelope.code or "", envelope.msg or ""
    if not any(secret in f"{code} {msg}" for secret in hide):
        return envelope
    # a number stays what it means, whatever the secret
    code = code if code.isdigit() else masked(code, hide)
    return envelope.model_copy(update={"code": code or None, "msg": masked(msg, hide)})


def masked(text: str, hide: Collection[str]) -> str:
    """Return `text` without the strings of `hide`."""
    for secret in hide:
        text = text.replace(secret, "***")
    return text


def _decoded(body: bytes) -> str:
    """Return the text of a body, by its byte order mark or what its first bytes look like (RFC 4627, section 3)."""
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        return body.decode(_CHINESE, "replace")


def _object_in(text: str) -> Mapping[str, Any] | None:
    """Return the first JSON object that stands in `text`, whatever stands around it."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        content, _ = _LENIENT.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def unpacked(body: bytes, encoding: str, max_bytes: int) -> bytes | None:
    """Return `body` without its Content-Encoding, or None if that is unknown, broken, or gives over `max_bytes`.

    We ask for none; some proxies compress all the same, and some call raw deflate "deflate" (RFC 9110, 8.4.1.2).
    """
    if encoding in {"", "identity"}:
        return body
    for window_bits in _WINDOW_BITS.get(encoding, ()):
        inflater = zlib.decompressobj(window_bits)
        try:
            plain = inflater.decompress(body, max_bytes + 1)
        except zlib.error:
            continue
        if inflater.eof and len(plain) <= max_bytes:
            return plain
    return None
