"""The outputs in a finished task's reply, by its family. What can be had of them is had: it was paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.output import ImageOutput, JsonOutput, Output, TextOutput
from swapjobs.contract.vendor_tools.reply import PICTURE, Family
from swapjobs.contract.vendor_tools.tool_input import is_url
from swapworker.vendor_client.picture_url import picture_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.contract.vendor_tools.reply import Reply

_WRAPPED: Final = "data"  # where `wire.py` puts a list that stood in the place of an object


def outputs_in(result: Any, reply: Reply, site: str) -> tuple[Output, ...]:
    """Return the outputs that a result holds, at least one.

    Args:
        result: As `TaskData.result` gives it.
        reply: How it is read.
        site: Of which a URL is that is only a path.

    Raises:
        ValueError: there is none that could be used; the text says why and quotes nothing.
    """
    match reply.family:
        case Family.TEXT:
            return _texts(result)
        case Family.SD_QUERY:
            return _pictures_with_audit(result, site)
        case Family.PICTURE:
            return _pictures(result, site)
        case _ if reply.result:  # a shape that a tools file names
            return _texts(result) if isinstance(result, str) and not is_url(result) else _anything(result, site)
        case _:
            return _whole(result, site)


def _texts(result: Any) -> tuple[Output, ...]:
    texts = result if isinstance(result, list) else [result]
    outputs = tuple(TextOutput(text=_printable(text)) for text in texts if isinstance(text, str) and text.strip())
    if not outputs:
        raise ValueError("holds no text")
    return outputs


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _pictures(result: Any, site: str) -> tuple[Output, ...]:
    if isinstance(result, list) and len(result) > 1:
        return _usable(result, lambda item: ImageOutput(url=picture_url(item, site)))
    return (ImageOutput(url=picture_url(result, site)),)


def _pictures_with_audit(result: Any, site: str) -> tuple[Output, ...]:
    if not isinstance(result, list):
        raise ValueError("is no list")  # noqa: TRY004 - the vendor's value, not our caller's

    def picture(row: Any) -> ImageOutput:
        row = row if isinstance(row, dict) else {}
        audit, passed, seed = row.get("img_audit"), row.get("img_audit_status"), row.get("seed")
        return ImageOutput(
            url=picture_url(row.get("image_url"), site),
            seed=str(seed) if seed is not None else None,
            audit=audit if isinstance(audit, list) and audit else None,
            audit_passed=passed if isinstance(passed, bool) else None,
        )

    return _usable(result, picture)


def _usable(items: list[Any], picture: Any) -> tuple[Output, ...]:
    """Return an output of each item: a picture, or where its URL is none, the item as it came."""
    outputs: list[Output] = []
    problem: ValueError | None = None
    for item in items:
        try:
            outputs.append(picture(item))
        except ValueError as error:
            problem = error
            outputs.append(JsonOutput(value=item))
    if problem is not None and not any(isinstance(output, ImageOutput) for output in outputs):
        raise problem
    return tuple(outputs)


def _whole(result: Mapping[str, Any], site: str) -> tuple[Output, ...]:
    """Return pictures where they stand as they do in the vendor's other replies, and all the rest as it is."""
    rest = {name: value for name, value in result.items() if name != PICTURE.result}
    pictures: tuple[Output, ...] = ()
    if PICTURE.result in result:
        pictures = _pictures(result[PICTURE.result], site)
    if not rest:
        return pictures
    wrapped = rest.get(_WRAPPED)
    return (*pictures, JsonOutput(value=wrapped if len(rest) == 1 and isinstance(wrapped, list) else rest))


def _anything(result: Any, site: str) -> tuple[Output, ...]:
    try:
        return _pictures(result, site)
    except ValueError:
        if isinstance(result, str):
            raise
        return (JsonOutput(value=result),)
