"""What the sandbox answers to each tool: which pictures it fetches, which operation it does. One function for each.

A tool that a tools file declares is done by the operation that its row names.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from swapjobs.contract.vendor_tools import generation, image_tools, swaps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swapjobs.contract.vendor_tools.tool import Tool
    from swapjobs.contract.vendor_tools.tool_input import ToolInput


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        operation: Of `swapsandbox.operations`; empty: nothing but accepting it.
        pictures: URLs by what they are called in a refusal.
        options: What the operation needs to know besides.
    """

    operation: str
    pictures: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


Input = TypeVar("Input", bound="ToolInput")
_DEFAULT_FIDELITY: Final = 0.5
_plans: dict[type[ToolInput], Callable[[Any], Plan]] = {}


def plan_of(tool: Tool, given: ToolInput) -> Plan:
    """Return what is to be done for a call of this tool."""
    plan = _plans.get(tool.input)
    if plan is not None:
        return plan(given)
    urls = given.urls()
    if not urls:
        prompt = next((value for value in given.stored().values() if isinstance(value, str)), tool.title)
        return Plan("draw", {}, {"prompt": prompt, "seed": 1})
    return Plan(tool.sandbox, {f"picture {n}": url for n, url in enumerate(urls, 1)}, given.stored())


def _answers(kind: type[Input]) -> Callable[[Callable[[Input], Plan]], Callable[[Input], Plan]]:
    def register(plan: Callable[[Input], Plan]) -> Callable[[Input], Plan]:
        _plans[kind] = plan
        return plan

    return register


def _swap(given: swaps.SwapInput, sources: list[str], face_index: int | None = None, fidelity: float = 1.0) -> Plan:
    names = ["source picture"] if len(sources) == 1 else ["source picture 1", "source picture 2"]
    pictures = {**dict(zip(names, sources, strict=True)), "target picture": given.target_url}
    return Plan("swap", pictures, {"face_index": face_index, "fidelity": fidelity})


@_answers(swaps.Roop)
def _roop(given: swaps.Roop) -> Plan:
    return _swap(given, [given.source_url])


@_answers(swaps.RoopV2)
def _roop_v2(given: swaps.RoopV2) -> Plan:
    weight = _DEFAULT_FIDELITY if given.fidelity_weight is None else given.fidelity_weight
    return _swap(given, [given.source_url], fidelity=weight)


@_answers(swaps.FaceFusion)
def _fusion(given: swaps.FaceFusion) -> Plan:
    """Swap one or two; what the vendor's `faceIdx` would mean with two sources is not documented: nothing here."""
    if given.second_source_url:
        return _swap(given, [given.source_url, given.second_source_url])
    return _swap(given, [given.source_url], given.face_idx)


@_answers(image_tools.FaceDetection)
def _detection(given: image_tools.FaceDetection) -> Plan:
    return Plan("detect", {"image": given.image_url})


@_answers(image_tools.InstantId)
def _portrait(given: image_tools.InstantId) -> Plan:
    size = {"width": given.width or 960, "height": given.height or 960}
    return Plan("portrait", {"image": given.image}, {"prompt": given.prompt, "seed": given.seed or 1, **size})


@_answers(image_tools.FluxTextToImage)
def _flux(given: image_tools.FluxTextToImage) -> Plan:
    size = {"width": given.width, "height": given.height}
    return Plan("draw", {}, {"prompt": given.prompt, "seed": _seed_of(given.prompt), **size})


@_answers(image_tools.ImageDescription)
def _description(given: image_tools.ImageDescription) -> Plan:
    return Plan("describe", {"image": given.image}, {"model": given.model})


@_answers(image_tools.PromptExpansion)
def _expansion(given: image_tools.PromptExpansion) -> Plan:
    return Plan("expand", {}, {"prompt": given.source_prompt, "count": given.sequences_num})


@_answers(image_tools.StyleRecognition)
def _style(given: image_tools.StyleRecognition) -> Plan:
    return Plan("style", {"source image": given.source_image})


@_answers(image_tools.Outpainting)
def _outpainting(given: image_tools.Outpainting) -> Plan:
    ratios = {"vertical": given.vertical_expansion_ratio, "horizontal": given.horizontal_expansion_ratio}
    seed = given.seed if given.seed is not None and given.seed >= 0 else _seed_of(given.source_image)
    return Plan("outpaint", {"source image": given.source_image}, {**ratios, "count": given.image_count, "seed": seed})


@_answers(image_tools.ControlPreview)
def _preview(given: image_tools.ControlPreview) -> Plan:
    return Plan("preprocess", {"source image": given.source_image}, {"preprocessor": given.preprocessor})


def _drawing(given: generation.SdInput, batch_size: int | None) -> dict[str, Any]:
    seed = int(given.seed) if given.seed and int(given.seed) >= 0 else _seed_of(given.prompt)
    size = {"width": given.width, "height": given.height}
    return {"prompt": given.prompt, "seed": seed, "count": (given.n_iter or 1) * (batch_size or 1), **size}


@_answers(generation.SdTextToImage)
def _sd_text(given: generation.SdTextToImage) -> Plan:
    return Plan("draw", {}, _drawing(given, given.batch_size))


@_answers(generation.SdControlNet)
def _sd_control(given: generation.SdControlNet) -> Plan:
    return Plan("draw", {}, _drawing(given, given.batch_size))


@_answers(generation.SdImageToImage)
def _sd_image(given: generation.SdImageToImage) -> Plan:
    options = {**_drawing(given, given.batch_size), "strength": given.denoising_strength}
    return Plan("redraw", {"image_link": given.image_link}, options) if given.image_link else Plan("draw", {}, options)


@_answers(generation.ModelTraining)
def _training(_: generation.ModelTraining) -> Plan:
    return Plan("")


def _seed_of(text: str) -> int:
    return zlib.crc32(text.encode()) % 2**31
