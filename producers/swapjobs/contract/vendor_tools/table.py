"""The table: one row for each tool of the vendor's index that its public pages tell of.

The next one is a row here and its input; whoever has the vendor's page of one that is not public declares it in a
tools file (`tools_file.py`). Nothing else names a tool.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from swapjobs.contract.vendor_tools import generation, image_tools, swaps
from swapjobs.contract.vendor_tools.reply import (
    ACCEPTED,
    ACKNOWLEDGED,
    LIST,
    PICTURE,
    SD_QUERY,
    TAKEN_OR_NOT,
    Family,
    Reply,
)
from swapjobs.contract.vendor_tools.tool import Mark, Patience, Query, Tool, Way, image_tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swapjobs.contract.vendor_tools.tool_input import ToolInput

DOCUMENTED, INFERRED, UNKNOWN = Mark.DOCUMENTED, Mark.INFERRED, Mark.UNKNOWN
_EN: Final = "https://4v5l1y8wvl.apifox.cn/api-"
_ZH: Final = "https://zhiqiteai.apifox.cn/api-"


def _marks(body: Mark, reply: Mark, result: Mark, callback: Mark) -> Mapping[str, Mark]:
    return MappingProxyType({"body": body, "reply": reply, "result": result, "callback": callback})


_HOUR_S: Final = 3600.0
# Live tasks first; by the vendor's own id too, which a public client asks by; archived tasks last.
_SD_WAYS: Final = (
    Way("sd/v2/queryTaskInfo"),
    Way("sd/v2/queryTaskInfo", "vendor"),
    Way("sd/queryTaskInfo"),
)


def _sd(path: str, title: str, input: type[ToolInput], page: str) -> Tool:  # noqa: A002
    return Tool(
        path,
        title,
        path,
        input,
        ACCEPTED,
        Query(_SD_WAYS, SD_QUERY),
        id_path=("alwayson_scripts", "id_task"),
        marks=_marks(INFERRED, INFERRED, DOCUMENTED, UNKNOWN),
        page=page,
    )


_ROWS: Final = (
    image_tool(
        "roop",
        "Single Face Swap V1.0",
        swaps.Roop,
        PICTURE,
        echoes_id=False,
        marks=_marks(DOCUMENTED, DOCUMENTED, DOCUMENTED, DOCUMENTED),
        page=_EN + "202222090",
    ),
    image_tool(
        "v2/roop",
        "Single Face Swap V2.0",
        swaps.RoopV2,
        PICTURE,
        marks=_marks(DOCUMENTED, INFERRED, INFERRED, UNKNOWN),
        page=_EN + "202222091",
    ),
    image_tool(
        "face/fusion",
        "Multiple Face Swap",
        swaps.FaceFusion,
        PICTURE,
        takes_callback=True,
        marks=_marks(DOCUMENTED, INFERRED, INFERRED, DOCUMENTED),
        page=_EN + "202222097",
    ),
    image_tool(
        "face/detection",
        "Face Detection",
        image_tools.FaceDetection,
        ACKNOWLEDGED,
        takes_callback=True,
        marks=_marks(DOCUMENTED, UNKNOWN, UNKNOWN, DOCUMENTED),
        page=_EN + "202222098",
    ),
    image_tool(
        "instantID",
        "instantID",
        image_tools.InstantId,
        PICTURE,
        takes_callback=True,
        marks=_marks(DOCUMENTED, DOCUMENTED, INFERRED, DOCUMENTED),
        page=_EN + "202222092",
    ),
    image_tool(
        "comfyui/text2image",
        "Flux text2image",
        image_tools.FluxTextToImage,
        PICTURE,
        echoes_id=False,
        takes_callback=True,
        marks=_marks(DOCUMENTED, DOCUMENTED, DOCUMENTED, DOCUMENTED),
        page=_EN + "225099153",
    ),
    image_tool(
        "interrogate",
        "image description",
        image_tools.ImageDescription,
        # 0 beside a caption is inferred: the other tool of texts finishes so.
        Reply(Family.TEXT, "caption", finished=(1, 0)),
        takes_callback=True,
        marks=_marks(DOCUMENTED, DOCUMENTED, DOCUMENTED, DOCUMENTED),
        page=_EN + "202222095",
    ),
    image_tool(
        "prompts/expand",
        "Prompt expansion",
        image_tools.PromptExpansion,
        Reply(Family.TEXT, "prompts", finished=(0, 1), is_list=True),  # 1 is inferred
        marks=_marks(DOCUMENTED, DOCUMENTED, DOCUMENTED, DOCUMENTED),
        page=_EN + "202222099",
    ),
    image_tool(
        "identifyStyle",
        "Style recognition",
        image_tools.StyleRecognition,
        ACKNOWLEDGED,
        takes_callback=True,
        marks=_marks(DOCUMENTED, DOCUMENTED, UNKNOWN, DOCUMENTED),
        page=_ZH + "185205163",
    ),
    image_tool(
        "imgExpand",
        "Outpainting",
        image_tools.Outpainting,
        ACKNOWLEDGED,
        takes_callback=True,
        marks=_marks(DOCUMENTED, DOCUMENTED, UNKNOWN, DOCUMENTED),
        page=_ZH + "185213273",
    ),
    image_tool(
        "cnt/preview",
        "CNT preview",
        image_tools.ControlPreview,
        ACKNOWLEDGED,
        takes_callback=True,
        marks=_marks(DOCUMENTED, DOCUMENTED, UNKNOWN, DOCUMENTED),
        page=_ZH + "185238962",
    ),
    _sd("sd/v2/text2image", "sd text2image", generation.SdTextToImage, page=_EN + "202222077"),
    _sd("sd/v2/image2image", "sd Image to Image", generation.SdImageToImage, page=_EN + "202222078"),
    _sd("sd/v2/controlnet", "sd controlnet", generation.SdControlNet, page=_EN + "202222079"),
    Tool(
        "sd/v2/queryModelList",
        "QueryModelList",
        "sd/v2/queryModelList",
        generation.ModelList,
        LIST,
        None,
        marks=_marks(DOCUMENTED, DOCUMENTED, DOCUMENTED, DOCUMENTED),
        page=_EN + "202222080",
        note="answered at once, and no job: `swapjobs tools models`, `client.models()`, `GET /v1/models`",
    ),
    Tool(
        "modelTraining/submitTraining/Job",
        "Submit training task",
        "modelTraining/submitTraining/Job",
        generation.ModelTraining,
        TAKEN_OR_NOT,
        None,
        id_path=("taskId",),
        patience=Patience(_HOUR_S / 4, 2 * _HOUR_S, 48 * _HOUR_S),
        marks=_marks(DOCUMENTED, UNKNOWN, UNKNOWN, UNKNOWN),
        page=_EN + "202222087",
        note="how its end is asked for is not public: the job has succeeded when the vendor has accepted the training,"
        " unless a tools file says how to ask",
    ),
)
_tools: dict[str, Tool] = {tool.name: tool for tool in _ROWS}

TOOLS: Final[Mapping[str, Tool]] = MappingProxyType(_tools)
"""All tools by name, with those that a tools file declares: they are known once settings were read."""

DEFAULT_TOOL: Final = _ROWS[0].name
LIST_OF_MODELS: Final = next(tool for tool in _ROWS if not tool.is_task)


def declare(tools: Iterable[Tool]) -> None:
    """Add tools, or put them in the place of those of the same name, for the whole process."""
    _tools.update((tool.name, tool) for tool in tools)


def name_of(kind: type[ToolInput]) -> str:
    """Return the name of the tool that takes such an input."""
    return next(tool.name for tool in _ROWS if tool.input is kind)


def tool_of(input: ToolInput) -> Tool | None:  # noqa: A002
    """Return the tool that takes this input."""
    return next((tool for tool in _tools.values() if tool.input is type(input)), None)


def swap_tools() -> list[Tool]:
    """Return the tools that take two pictures."""
    return [tool for tool in _tools.values() if tool.is_swap]
