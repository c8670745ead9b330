"""The models that the sandbox lists: made up, and said to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from swapjobs.contract.vendor_tools.generation import ModelList

_COUNT: Final = 23


def listed(asked: ModelList) -> dict[str, Any]:
    """Return one page of the list, as the vendor's `data`."""
    rows = [
        row
        for row in map(_row, range(1, _COUNT + 1))
        if asked.sd_model_checkpoint in {None, row["sdModelCheckpoint"]}
        and (asked.sd_model_name or "").lower() in row["sdModelName"].lower()
    ]
    start = (asked.page_num - 1) * asked.page_size
    return {
        "rows": rows[start : start + asked.page_size],
        "total": len(rows),
        "pageSize": asked.page_size,
        "pageNum": asked.page_num,
    }


def _row(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "sdModelCheckpoint": f"sandbox-{number:02}.safetensors",
        "sdModelName": f"Sandbox model {number}",
        "modelBaseModel": "SDXL" if number % 3 == 0 else "SD 1.5",
        "modelHash": f"{number * 2654435761 % 2**32:08x}",
        "modelType": "checkpoint",
        "modelVersion": "1",
        "modelStatus": 1,
        "modelUploadStatus": 1,
        "modelImgUrl2": "",
    }
