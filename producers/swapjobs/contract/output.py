"""What a job gave: pictures, texts, or whatever else the vendor answered, one model for each kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, JsonValue, TypeAdapter

from swapjobs.contract.frozen import DEFERRED, FrozenModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def _is_none(value: Any) -> bool:
    return value is None


class ImageOutput(FrozenModel):
    """A picture. Assume that its URL does not live for ever."""

    kind: Literal["image"] = "image"
    url: str
    seed: str | None = Field(default=None, exclude_if=_is_none, description="with which it can be made again")
    audit: list[JsonValue] | None = Field(
        default=None, exclude_if=_is_none, description="what the vendor's audit of the content says"
    )
    audit_passed: bool | None = Field(default=None, exclude_if=_is_none)


class TextOutput(FrozenModel):
    """A text."""

    kind: Literal["text"] = "text"
    text: str


class JsonOutput(FrozenModel):
    """What the vendor answered, as it came: of tools whose result no page describes."""

    kind: Literal["json"] = "json"
    value: JsonValue


Output = Annotated[ImageOutput | TextOutput | JsonOutput, Field(discriminator="kind")]
_OUTPUTS: Final = TypeAdapter(tuple[Output, ...], config=DEFERRED)


def stored(outputs: Iterable[Output]) -> dict[str, Any]:
    """Return outputs as a line of history has them: of the usual one, a picture and no more, its URL alone."""
    match tuple(outputs):
        case (ImageOutput(url=url, seed=None, audit=None, audit_passed=None),):
            return {"output_url": url}
        case several:
            return {"outputs": _OUTPUTS.dump_python(several, mode="json")}


def outputs_of(line: Mapping[str, Any] | None) -> tuple[Output, ...]:
    """Return the outputs that a line of history holds; none where there is no line."""
    if not line:
        return ()
    if "outputs" in line:
        return _OUTPUTS.validate_python(line["outputs"])
    return (ImageOutput(url=line["output_url"]),)


def as_text(output: Output) -> str:
    """Return an output for a line or a cell: the URL of a picture, a text as it is, all else as JSON."""
    match output:
        case ImageOutput(url=url):
            return url
        case TextOutput(text=text):
            return text
        case JsonOutput(value=value):
            return json.dumps(value, ensure_ascii=False)


def first_picture(outputs: Iterable[Output]) -> str | None:
    """Return the URL of the first picture."""
    return next((output.url for output in outputs if isinstance(output, ImageOutput)), None)
