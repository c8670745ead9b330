"""The vendor's swap tools: one small model and one row in `TOOLS` each.

The fields of a tool that `SwapRequest` does not have itself are declared here under their Python name, with
the vendor's name as alias. Source: the vendor's pages for Single Face Swap V1.0 and V2.0 and Multiple Face Swap.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_URL_LENGTH: Final = 8192  # a presigned one with a session token has nearly 3,000
# White space, both ranges of control characters, and halves of surrogate pairs, which no encoding can carry.
UNPRINTABLE: Final = re.compile("[\x00-\x20\x7f-\xa0\ud800-\udfff]")
_BLANKS: Final = " \t\r\n\f"
_NO_BREAKS: Final = dict.fromkeys(map(ord, "\t\r\n"))
_HEAD: Final = re.compile(r"[^/?#]*//[^/?#]*")  # scheme and host
# What nearly all URLs look like: taken at once, as urlsplit was half of what a bulk submit cost. It lets nothing pass
# that the slow way would refuse.
_PLAIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,4})?(?:[/?#][!-~]*)?")


def check_url(value: str, max_length: int = MAX_URL_LENGTH) -> str:
    """Return `value` if it is an http or https URL that may be stored and passed on.

    Blanks around it and line breaks in it are dropped, blanks behind the host percent-encoded, as browsers do (WHATWG
    URL Standard); all else stays as it is.

    Raises:
        ValueError: too long, another scheme, no host, credentials in it, or control characters.
    """
    if not _PLAIN.fullmatch(value):
        value = _tidied(value)
    if len(value) > max_length:
        raise ValueError(f"is {len(value)} characters long; at most {max_length} are allowed")
    if _PLAIN.fullmatch(value):
        return value
    if UNPRINTABLE.search(value):
        raise ValueError("holds white space or control characters; percent-encode them")
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"}:
        raise ValueError("must begin with http:// or https://")
    if not has_host:
        raise ValueError("has no host name")
    if "@" in parts.netloc:
        raise ValueError("must not carry credentials (user:password@)")
    return value


def _tidied(value: str) -> str:
    value = value.strip(_BLANKS).translate(_NO_BREAKS)
    if " " not in value:
        return value
    head = _HEAD.match(value)
    length = len(head[0]) if head else 0
    return value[:length] + value[length:].replace(" ", "%20")


Url = Annotated[str, AfterValidator(check_url)]


class ToolFields(BaseModel):
    """What a tool takes besides the two pictures: here nothing (Single Face Swap V1.0)."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=False)

    def body(self, source_url: str, target_url: str) -> dict[str, Any]:
        """Return the vendor's request body, without the business id."""
        return {
            "sourceUrl": source_url,
            "targetUrl": target_url,
            **self.model_dump(by_alias=True, exclude_none=True),
        }


class RoopV2Fields(ToolFields):
    """Single Face Swap V2.0 (roop and CodeFormer)."""

    fidelity_weight: Annotated[float, PlainSerializer(lambda weight: f"{weight:g}", return_type=str)] | None = Field(
        default=None,
        ge=0,
        le=1,
        alias="fidelityWeight",
        description="balance of quality (0) and fidelity (1)",
    )


class FusionFields(ToolFields):
    """Multiple Face Swap: one or two sources, and which face of the target."""

    second_source_url: Url | None = Field(default=None, exclude=True, description="the second of two source faces")
    face_idx: int | None = Field(
        default=None,
        ge=1,
        alias="faceIdx",
        description="1-based, faces counted from left to right in the target",
    )

    def body(self, source_url: str, target_url: str) -> dict[str, Any]:
        """Return the vendor's body: here `sourceUrl` is an array."""
        sources = [source_url] + ([self.second_source_url] if self.second_source_url else [])
        return {**super().body(source_url, target_url), "sourceUrl": sources}


TOOLS: Final[Mapping[str, type[ToolFields]]] = {
    "roop": ToolFields,
    "v2/roop": RoopV2Fields,
    "face/fusion": FusionFields,
}

DEFAULT_TOOL: Final = "roop"

# Each tool with nothing but the two pictures: most requests, so it is not made again for each.
BLANK: Final[Mapping[str, ToolFields]] = {name: tool() for name, tool in TOOLS.items()}
