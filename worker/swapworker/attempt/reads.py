"""Questions to the vendor that are answered at once and are no jobs: claim, wait for the slot, ask, answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from swapjobs.contract.job import explain
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.store.vendor.reads import Question

if TYPE_CHECKING:
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.vendor.reads import ReadStore
    from swapworker.vendor_client.client import VendorClient

_PATIENCE_S: Final = 20.0  # for a slot
_PAUSE_S: Final = 0.1
_SLOTS: Final = frozenset({"busy", "rate_limit"})


class Reads:
    """Asks what clients want to know; one for each worker process."""

    def __init__(self, store: ReadStore, vendor: VendorClient, settings: WorkerSettings) -> None:
        self._store = store
        self._vendor = vendor
        self._settings = settings

    def run(self, id_: str) -> str:
        """Answer the question that a message names, and return how it went."""
        claimed = self._claim(id_)
        if isinstance(claimed, str):
            if claimed != "gone":
                self._store.answer(id_, {"error": f"the vendor can't be asked now: {_WHY.get(claimed, claimed)}"})
            return claimed
        time.sleep(claimed.wait_s)
        answer, pause_s, call, call_ms = self._ask(claimed)
        self._store.answer(id_, answer, pause_s=pause_s, call=call, call_ms=call_ms)
        return "answered" if "data" in answer else "failed"

    def _claim(self, id_: str) -> Question | str:
        until = time.monotonic() + _PATIENCE_S
        while True:
            claimed = self._store.claim(id_, self._settings.call_timeout_s + self._settings.lease_s)
            if isinstance(claimed, Question) or claimed not in _SLOTS or time.monotonic() > until:
                return claimed
            time.sleep(_PAUSE_S)

    def _ask(self, question: Question) -> tuple[dict[str, Any], float, str, int]:
        """Return the answer, how long the fleet pauses for it, and as what the metrics count the call and its ms."""
        tool = TOOLS.get(question.tool)
        if tool is None or tool.is_task:
            return {"error": f"this worker does not know {question.tool} as a list"}, 0.0, "", 0
        try:
            body = tool.input.model_validate(question.input).body()
        except ValidationError as error:
            return {"error": explain(error)}, 0.0, "", 0
        began = time.monotonic()
        read = self._vendor.read(tool, body)
        call_ms = int((time.monotonic() - began) * 1000)
        answer = {"error": read.problem} if read.problem else {"data": read.data}
        return answer, read.pause_s, f"{tool.name} list {read.result}", call_ms


_WHY: Final = {
    "busy": "no slot of the rate came near",
    "rate_limit": "the vendor has asked for a pause",
    "paused_manually": "dispatch is paused",
    "outage": "it is down",
}
