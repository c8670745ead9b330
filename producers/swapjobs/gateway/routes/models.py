"""The vendor's list of models: asked now, by a worker."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from swapjobs.contract.model_page import ModelPage
from swapjobs.gateway import model_list
from swapjobs.gateway.dependencies import Gateway, Reader
from swapjobs.gateway.openapi import problems

router = APIRouter(prefix="/v1/models", tags=["tools"])


@router.get("", responses=problems("vendor_unavailable"))
def list_models(
    _: Reader,
    gateway: Gateway,
    *,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 10,
    page_num: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    sd_model_checkpoint: Annotated[str | None, Query(max_length=255, description="only this model")] = None,
    sd_model_name: Annotated[str | None, Query(max_length=255, description="only models of this name")] = None,
) -> ModelPage:
    """List the models that the sd tools can draw with. It takes a call of the vendor's limit: each tenth, at most."""
    return model_list.ask(
        gateway.client,
        page_size=page_size,
        page_num=page_num,
        sd_model_checkpoint=sd_model_checkpoint,
        sd_model_name=sd_model_name,
    )
