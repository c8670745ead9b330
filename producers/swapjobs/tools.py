"""What each of the vendor's tools takes, as a model: `JobRequest(input=InstantId(image="https://...", prompt="..."))`.

The models say which tool they are for. Tools of a tools file have none: `JobRequest(tool="...", input={...})`.
"""

from swapjobs.contract.vendor_tools.generation import (
    ModelList,
    ModelTraining,
    SdControlNet,
    SdImageToImage,
    SdTextToImage,
)
from swapjobs.contract.vendor_tools.image_tools import (
    ControlPreview,
    FaceDetection,
    FluxTextToImage,
    ImageDescription,
    InstantId,
    Outpainting,
    PromptExpansion,
    StyleRecognition,
)
from swapjobs.contract.vendor_tools.swaps import FaceFusion, Roop, RoopV2
from swapjobs.contract.vendor_tools.table import TOOLS

__all__ = [
    "TOOLS",
    "ControlPreview",
    "FaceDetection",
    "FaceFusion",
    "FluxTextToImage",
    "ImageDescription",
    "InstantId",
    "ModelList",
    "ModelTraining",
    "Outpainting",
    "PromptExpansion",
    "Roop",
    "RoopV2",
    "SdControlNet",
    "SdImageToImage",
    "SdTextToImage",
    "StyleRecognition",
]
