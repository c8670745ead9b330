"""The vendor's list of models, as a question through the queue's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from swapjobs.contract.errors import VendorUnavailable
from swapjobs.contract.job import invalid
from swapjobs.contract.model_page import ModelPage
from swapjobs.contract.vendor_tools.table import LIST_OF_MODELS
from swapjobs.store import keys
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.store.store import Store

_PATIENCE_S: Final = 30.0
_START: Final = "start one: swapjobs worker"


def ask_for_models(store: Store, query: Mapping[str, Any]) -> ModelPage:
    """Return one page: a worker asks the vendor, now; it is no job.

    Args:
        store: Through which the worker is asked.
        query: `page_size` (10; 1 to 1,000), `page_num` (1), `sd_model_checkpoint`, `sd_model_name`.

    Raises:
        InvalidRequest: something of the query is not valid.
        VendorUnavailable: nobody could ask, or the vendor did not answer as it should.
    """
    tool = LIST_OF_MODELS
    try:
        given = tool.input.model_validate(query)
    except ValidationError as error:
        raise invalid(error, tool.input.model_fields) from None
    with queue_errors():
        if not store.dispatch.has_worker(keys.SWAPS_QUEUE):
            raise VendorUnavailable(f"no worker has been seen for 20 s, and only workers ask the vendor; {_START}")
        data = store.reads.ask(tool.name, given.stored(), _PATIENCE_S)
    page = {"page_size": given.body()["pageSize"], "page_num": given.body()["pageNum"]}
    try:
        return ModelPage.model_validate({"rows": data.get("rows"), "total": data.get("total", 0), **page})
    except (ValidationError, AttributeError):
        raise VendorUnavailable("the vendor's reply is no list of models") from None
