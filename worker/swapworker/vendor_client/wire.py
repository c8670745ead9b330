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

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

OK: Final = "200"
DONE: Final = 1
FAILED: Final = 2

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


class TaskData(BaseModel):
    """`data`: how the task stands. What is missing or of another type is None."""

    model_config = ConfigDict(extra="allow", frozen=True)

    task_id: Text = Field(None, validation_alias=AliasChoices("taskId", "task_id", "id_task"))
    status: WholeNumber = None
    picture: Any = Field(None, validation_alias="outputImageUrl", description="as it came, of whatever type")

    @property
    def texts(self) -> list[str]:
        """The strings among the fields that the vendor's page does not name: an error text may be one of them."""
        return [value for value in (self.model_extra or {}).values() if isinstance(value, str)]

    @property
    def is_done(self) -> bool:
        """Say whether the vendor says that it is done, and says something of the picture."""
        return self.status == DONE and bool(self.picture)

    @property
    def is_a_task(self) -> bool:
        """Say whether there is anything of a task in it."""
        return self.task_id is not None or self.status is not None or bool(self.picture)


class Envelope(BaseModel):
    """What every reply is wrapped in."""

    model_config = ConfigDict(extra="allow", frozen=True)

    code: Text = None
    msg: Text = None
    data: Any = None

    @property
    def task(self) -> TaskData | None:
        """What `data` tells of a task, or what stands in its place where there is no `data`."""
        data = self.data
        if isinstance(data, str):
            data = _object_in(data)
        if isinstance(data, list) and len(data) == 1:
            data = data[0]
        if isinstance(data, dict):
            task = TaskData.model_validate(data)
            return task if task.is_a_task else None
        # `status` alone is the HTTP status in the error objects of some frameworks.
        beside = TaskData.model_validate(self.model_extra or {}) if self.data is None else None
        return beside if beside is not None and (beside.picture or beside.task_id is not None) else None

    @property
    def is_vendors(self) -> bool:
        """Say whether it looks like the vendor's own, not like the error object of some proxy or framework."""
        return self.code is not None

    @property
    def says_no_data(self) -> bool:
        """Say whether the call succeeded with `data` sent as null."""
        return self.code == OK and self.data is None and "data" in self.model_fields_set and self.task is None

    @property
    def is_empty(self) -> bool:
        """Say whether it holds nothing but `code` and `msg`: then it can't say anything of a task."""
        return not self.data and not self.model_extra


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
