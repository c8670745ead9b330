"""The vendor's JSON, read leniently: more fields, missing fields and numbers for strings do no harm."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Collection

OK: Final = "200"
DONE: Final = 1
FAILED: Final = 2

_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) else None


def _whole_number(value: Any) -> int | None:
    text = _text(value)
    return int(text) if text is not None and re.fullmatch(r"\s*[0-9]{1,9}\s*", text, re.ASCII) else None


Text = Annotated[str | None, BeforeValidator(_text)]
WholeNumber = Annotated[int | None, BeforeValidator(_whole_number)]


class TaskData(BaseModel):
    """`data`: how the task stands. What is missing or of another type is None."""

    model_config = ConfigDict(extra="allow", frozen=True)

    task_id: Text = Field(None, alias="taskId")
    status: WholeNumber = None
    output_image_url: Text = Field(None, alias="outputImageUrl")

    @property
    def texts(self) -> list[str]:
        """The strings among the fields that the vendor's page does not name: an error text may be one of them."""
        return [value for value in (self.model_extra or {}).values() if isinstance(value, str)]

    @property
    def is_a_task(self) -> bool:
        """Say whether there is anything of a task in it."""
        return self.task_id is not None or self.status is not None or bool(self.output_image_url)


class Envelope(BaseModel):
    """What every reply is wrapped in."""

    model_config = ConfigDict(extra="allow", frozen=True)

    code: Text = None
    msg: Text = None
    data: Any = None

    @property
    def task(self) -> TaskData | None:
        """`data`, if it is an object that tells of a task."""
        if not isinstance(self.data, dict):
            return None
        task = TaskData.model_validate(self.data)
        return task if task.is_a_task else None

    @property
    def is_vendors(self) -> bool:
        """Say whether it looks like the vendor's own, not like the error object of some proxy or framework."""
        return self.code is not None

    @property
    def says_no_data(self) -> bool:
        """Say whether the call succeeded with `data` sent as null."""
        return self.code == OK and self.data is None and "data" in self.model_fields_set


def parse_envelope(body: bytes, hide: Collection[str] = ()) -> Envelope | None:
    """Return the envelope, or None if `body` is not a JSON object.

    What is in `hide` (our credentials, should the vendor quote them) is taken out of the texts that may be shown.
    """
    try:
        envelope = Envelope.model_validate_json(body)
    except ValidationError:
        return None
    if not any(secret in f"{envelope.code} {envelope.msg}" for secret in hide):
        return envelope
    code, msg = envelope.code, envelope.msg
    for secret in hide:
        code = code if code is None or code.isdigit() else code.replace(secret, "***")
        msg = msg if msg is None else msg.replace(secret, "***")
    return envelope.model_copy(update={"code": code, "msg": msg})


def unpacked(body: bytes, encoding: str, max_bytes: int) -> bytes | None:
    """Return `body` without its Content-Encoding, or None if that is unknown, broken, or gives over `max_bytes`.

    We ask for none; some proxies compress all the same.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in _WINDOW_BITS:
        return None
    inflater = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = inflater.decompress(body, max_bytes + 1)
    except zlib.error:
        return None
    return plain if inflater.eof and len(plain) <= max_bytes else None
