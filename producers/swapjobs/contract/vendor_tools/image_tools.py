"""The image tools beside the swaps.

Sources: the vendor's pages, one for each (`docs/tools.md`). Where a page gives no range there is none here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from swapjobs.contract.fetched_urls import Url
from swapjobs.contract.vendor_tools.tool_input import WHOLE_NUMBER, ToolInput

Prompt = Annotated[str, StringConstraints(min_length=1), Field(examples=["a lighthouse at dusk"])]
_MAX_SEED = 2**31 - 1


class FaceDetection(ToolInput):
    """Finds the faces of a picture, so that one of them can be chosen."""

    image_url: Url = Field(description="picture to look for faces in")


class InstantId(ToolInput):
    """Draws what the prompt says with the face of a portrait."""

    image: Url = Field(description="the portrait")
    prompt: Prompt = Field(description="what to draw")
    negative_prompt: str | None = Field(default=None, description="what to avoid")
    width: int | None = Field(default=None, ge=1, description="pixels; only 960 is open to the public for now")
    height: int | None = Field(default=None, ge=1, description="pixels; only 960 is open to the public for now")
    steps: int | None = Field(default=None, ge=1)
    guidance_scale: float | None = None
    seed: int | None = None


class FluxTextToImage(ToolInput):
    """Draws what a prompt says (Flux)."""

    comfy_task_type: Literal["Flux1DevFP8", "Flux1SchnellFP8"] = Field(description="which workflow")
    prompt: Prompt = Field(description="what to draw")
    width: int | None = Field(default=None, ge=1, description="pixels")
    height: int | None = Field(default=None, ge=1, description="pixels")
    steps: int | None = Field(default=None, ge=1)
    flux_guidance: float | None = Field(default=None, description="in steps of 0.1; 3.5 is recommended")


class ImageDescription(ToolInput):
    """Says in words what a picture shows."""

    image: Url = Field(description="picture to describe")
    model: Literal["clip", "deepdanbooru"] = Field(default="clip", description="what describes it")


class PromptExpansion(ToolInput):
    """Makes longer prompts of a short one."""

    source_prompt: Prompt = Field(description="the prompt to expand")
    mode: Annotated[Literal[0, 1], WHOLE_NUMBER] = Field(description="0: for SD, 1: for SDXL")
    top_k: int | None = Field(default=None, ge=0, le=250, description="0 switches it off")
    top_p: float | None = Field(default=None, ge=0.01)
    temperature: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    min_tokens: int | None = Field(default=None, ge=0)
    sequences_num: int | None = Field(default=None, ge=1, description="how many prompts")


class StyleRecognition(ToolInput):
    """Says of what style a picture is."""

    source_image: Url = Field(description="picture to look at")


class Outpainting(ToolInput):
    """Paints on beyond the edges of a picture."""

    source_image: Url = Field(description="picture to go on from")
    image_count: int = Field(ge=1, description="how many pictures")
    vertical_expansion_ratio: float = Field(ge=1, le=4, description="the new height, of the old one")
    horizontal_expansion_ratio: float = Field(ge=1, description="the new width, of the old one")
    prompt: str | None = Field(default=None, description="what to paint there")
    negative_prompt: str | None = Field(default=None, description="what to avoid")
    sample_step: int | None = Field(default=None, ge=0, le=50)
    sampler: str | None = None
    prompt_guide_factor: int | None = Field(default=None, ge=1, le=45)
    seed: int | None = Field(default=None, ge=-1, le=_MAX_SEED, description="-1: at random")


class ControlPreview(ToolInput):
    """Shows what a preprocessor of ControlNet makes of a picture."""

    source_image: Url = Field(description="picture to look at")
    preprocessor: Annotated[str, StringConstraints(min_length=1)] = Field(description="which one", examples=["canny"])
