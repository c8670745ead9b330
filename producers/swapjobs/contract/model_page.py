"""A page of the vendor's list of models."""

from __future__ import annotations

from pydantic import Field, JsonValue

from swapjobs.contract.frozen import FrozenModel


class ModelPage(FrozenModel):
    """The vendor's reply to QueryModelList, its rows as they came."""

    rows: tuple[dict[str, JsonValue], ...] = Field(
        description="`sdModelCheckpoint` is what an sd tool takes as `sd_model_checkpoint`"
    )
    total: int = Field(description="rows of all pages")
    page_size: int
    page_num: int
