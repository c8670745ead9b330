"""The sd tools, the list of models and the training.

Sources: the vendor's pages, and a public client of sd text2image (`docs/tools.md`). Three of the pages could not be
read to their end, so that fields which are not known here go to the vendor as they are.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from swapjobs.contract.fetched_urls import Url
from swapjobs.contract.vendor_tools.image_tools import Prompt
from swapjobs.contract.vendor_tools.tool_input import WHOLE_NUMBER, ToolInput
from swapjobs.contract.wrong_values import form

_SCRIPTS: Final = "alwayson_scripts"
_OWN_ID: Final = "id_task"


class SdInput(ToolInput):
    """What the sd tools have in common: the fields of Stable Diffusion's web UI, under its own names.

    `n_iter` x `batch_size` pictures are made. What stands in the vendor's `alwayson_scripts` is given beside the rest;
    what of it has no field here goes into `alwayson_scripts`.
    """

    model_config = ConfigDict(extra="allow", alias_generator=None)
    passes_unknown: ClassVar[bool] = True
    in_scripts: ClassVar[tuple[str, ...]] = ("sd_model_checkpoint", "sd_vae", "override_settings")

    prompt: Prompt = Field(description="what to draw")
    sd_model_checkpoint: Annotated[str, StringConstraints(min_length=1)] | None = Field(
        default=None, description="the model; `swapjobs tools models` names them"
    )
    negative_prompt: str | None = Field(default=None, description="what to avoid")
    n_iter: int | None = Field(default=None, ge=1, description="how many times")
    steps: int | None = Field(default=None, ge=1)
    width: int | None = Field(default=None, ge=1, description="pixels")
    height: int | None = Field(default=None, ge=1, description="pixels")
    seed: str | None = Field(
        default=None,
        pattern=form(r"^-?[0-9]{1,20}$", "must be a whole number, of at most 20 digits"),
        description="-1: at random",
    )
    cfg_scale: float | None = None
    sampler_index: str | None = None
    restore_faces: bool | None = None
    enable_hr: bool | None = None
    hr_scale: int | None = Field(default=None, ge=1)
    hr_second_pass_steps: int | None = Field(default=None, ge=0)
    hr_resize_x: int | None = Field(default=None, ge=0)
    hr_resize_y: int | None = Field(default=None, ge=0)
    denoising_strength: float | None = None
    sd_vae: str | None = None
    override_settings: dict[str, JsonValue] | None = None
    alwayson_scripts: dict[str, JsonValue] | None = Field(default=None, description="what has no field of its own")

    def body(self) -> dict[str, Any]:
        """Return the vendor's body, with what belongs there in `alwayson_scripts`."""
        body = super().body()
        scripts = {name: body.pop(name) for name in self.in_scripts if name in body}
        scripts = {**body.pop(_SCRIPTS, {}), **scripts}
        return {**body, _SCRIPTS: scripts} if scripts else body

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Self:
        """Return what a body says; the caller's id, which stands in `alwayson_scripts`, is left out."""
        scripts = body.get(_SCRIPTS)
        if not isinstance(scripts, dict):
            return super().from_body(body)
        own = {name: scripts[name] for name in cls.in_scripts if name in scripts}
        rest = {name: value for name, value in scripts.items() if name not in {*own, _OWN_ID}}
        body = {name: value for name, value in body.items() if name != _SCRIPTS}
        return super().from_body({**body, **own, **({_SCRIPTS: rest} if rest else {})})


class SdTextToImage(SdInput):
    """Draws what a prompt says (Stable Diffusion)."""

    batch_size: int = Field(ge=1, description="pictures in one go")


class SdImageToImage(SdInput):
    """Draws a picture anew after a prompt (Stable Diffusion)."""

    in_scripts: ClassVar[tuple[str, ...]] = (*SdInput.in_scripts, "output_image_format", "image_link", "mask_link")

    batch_size: int = Field(ge=1, description="pictures in one go")
    image_link: Url | None = Field(default=None, description="picture to begin with")
    mask_link: Url | None = Field(default=None, description="where to draw")
    output_image_format: str | None = None
    hr_upscaler: str | None = None
    resize_mode: int | None = None
    mask_blur: int | None = Field(default=None, ge=0)
    mask_blur_x: int | None = Field(default=None, ge=0)
    mask_blur_y: int | None = Field(default=None, ge=0)
    inpainting_fill: int | None = None
    inpaint_full_res: bool | None = None
    inpaint_full_res_padding: int | None = Field(default=None, ge=0)
    inpainting_mask_invert: int | None = None
    initial_noise_multiplier: float | None = None
    image_cfg_scale: float | None = None


class SdControlNet(SdInput):
    """Draws what a prompt says along the lines of a picture (ControlNet); the fields of its controls are passed on."""

    batch_size: int | None = Field(default=None, ge=1, description="pictures in one go")


class ModelList(ToolInput):
    """Lists the models that the sd tools can draw with."""

    page_size: int = Field(default=10, ge=1, le=1000, description="rows of a page")
    page_num: int = Field(default=1, ge=1, description="the page, from 1")
    sd_model_checkpoint: str | None = Field(default=None, description="only this model")
    sd_model_name: str | None = Field(default=None, description="only models of this name")

    def body(self) -> dict[str, Any]:
        """Return the vendor's body: page and size are required there."""
        return {"pageSize": self.page_size, "pageNum": self.page_num, **super().body()}


class ModelTraining(ToolInput):
    """Trains a model with pictures; takes hours."""

    model_config = ConfigDict(extra="allow")
    passes_unknown: ClassVar[bool] = True

    file_url_list: list[Url] = Field(min_length=10, max_length=100, description="public URLs of the pictures")
    max_epochs: int = Field(default=20, ge=10, le=50)
    batch_size: int = Field(default=1, ge=1, le=4)
    learning_rate: str = Field(
        default="1e-5", pattern=form(r"^[0-9.]+(e-?[0-9]+)?$", "must be a number like 1e-5"), description="1e-7 to 1e-4"
    )
    max_token_length: Annotated[Literal[0, 150, 225], WHOLE_NUMBER] = 225
    clip_skip: int = Field(default=1, ge=1, le=5)
    random_crop: bool | None = None
    num_cpu_threads_per_process: int | None = Field(default=None, ge=1, le=20)
    lr_warmup_steps: int | None = Field(default=None, ge=0, le=100)
    network_dropout: float | None = Field(default=None, ge=0, le=1)
    rank_dropout: float | None = Field(default=None, ge=0, le=1)
    module_dropout: float | None = Field(default=None, ge=0, le=1)
    noise_offset: float | None = Field(default=None, ge=0, le=1)
    seed: int | None = None
    resolution: str | None = None
    pretrained_model: str | None = None
