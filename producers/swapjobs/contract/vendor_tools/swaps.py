"""The swap tools: two pictures, the face of the one goes into the other.

Sources: the vendor's pages for Single Face Swap V1.0 (`docs/tools.md` names them all), V2.0 and Multiple Face Swap.
"""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import Field

from swapjobs.contract.fetched_urls import Url
from swapjobs.contract.vendor_tools.tool_input import ToolInput

_SECOND: Final = "sourceUrl.1"  # what the second entry of the vendor's array is called in a complaint


class SwapInput(ToolInput):
    """What the swap tools have in common."""

    source_url: Url = Field(description="picture that gives the face")
    target_url: Url = Field(description="picture that receives it")


class Roop(SwapInput):
    """Copies the face of the source picture into the target picture."""


class RoopV2(SwapInput):
    """Copies the face of the source picture into the target picture and restores it (roop and CodeFormer)."""

    fidelity_weight: float | None = Field(
        default=None, ge=0, le=1, description="balance of quality (0) and fidelity (1)"
    )

    def body(self) -> dict[str, Any]:
        """Return the vendor's body: here the weight is a text."""
        body = super().body()
        if self.fidelity_weight is not None:
            body["fidelityWeight"] = f"{self.fidelity_weight:g}"
        return body


class FaceFusion(SwapInput):
    """Swaps one or two faces of a picture of several people."""

    second_source_url: Url | None = Field(default=None, alias=_SECOND, description="the second of two source faces")
    face_idx: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="1-based, faces counted from left to right in the target"
    )

    def body(self) -> dict[str, Any]:
        """Return the vendor's body: here `sourceUrl` is an array."""
        body = super().body()
        second = body.pop(_SECOND, None)
        return {**body, "sourceUrl": [self.source_url, *([second] if second else [])]}

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Self:
        """Return what a body with its array says; see `ToolInput.from_body`."""
        sources = body.get("sourceUrl")
        if not isinstance(sources, list) or not 1 <= len(sources) <= 2:  # noqa: PLR2004 - the vendor's page
            raise ValueError("sourceUrl: must be an array of one or two URLs")
        return super().from_body({**body, "sourceUrl": sources[0], **dict(zip([_SECOND], sources[1:], strict=False))})
