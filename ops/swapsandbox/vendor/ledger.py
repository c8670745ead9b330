"""What the sandbox vendor remembers: its tasks, what it billed, and every call it got.

Pure bookkeeping without I/O. All methods may be called from any thread. Times are seconds since the epoch as
floats, from a clock that never goes back, so that differences between two of them are true durations.

Billing is that of a pay-per-call vendor: every accepted call whose work ended in success is billed, also when
the same business id was billed before (that is a duplicate). A failed swap (status 2) is not billed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from swapjobs.contract.output import first_picture
from swapjobs.contract.vendor_api import Status
from swapsandbox.vendor.records import Call, Kind, Outcome, Stats, Task

Clock = Callable[[], float]

OVER_LIMIT: Final = "over_limit"
"""The fault name under which a call above the sandbox's own rate limit is logged."""

_SHOWN_DUPLICATES: Final = 20


@dataclass(slots=True)
class _Account:
    """All that happened to one business id; the newest task is the one that a query finds."""

    calls: int = 0
    queries: int = 0
    billed: int = 0
    task: Task | None = None


def steady_clock() -> Clock:
    """Return a clock that starts at the time of day and then advances steadily, whatever is done to the system's."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


class Ledger:
    """The books of the sandbox.

    Args:
        clock: Gives the time in seconds.
        log_size: So many calls are kept in the log; older ones are forgotten (the counts are not).
    """

    def __init__(self, clock: Clock | None = None, *, log_size: int = 100_000) -> None:
        self.now: Clock = clock or steady_clock()
        self._lock = threading.Lock()
        self._log: deque[Call] = deque(maxlen=log_size)
        self._epoch = 0
        self._begin()

    def _begin(self) -> None:
        self._log.clear()
        self._accounts: dict[str, _Account] = {}
        self._stats = Stats()
        self._last_vendor_id = 0
        # A call that began before a reset must not change the counts after it.
        self._epoch += 1

    def reset(self) -> None:
        """Forget everything. Calls that are under way now will not be counted when they end."""
        with self._lock:
            self._begin()

    def arrive(self, kind: Kind, business_id: str, at: float) -> Call:
        """Log a request that arrived at the time `at`; end it with `answer`."""
        with self._lock:
            call = Call(at, kind, business_id, epoch=self._epoch)
            self._log.append(call)
            account = self._accounts.setdefault(business_id, _Account()) if business_id else _Account()
            if kind is Kind.SWAP:
                self._stats.calls += 1
                account.calls += 1
            elif kind is Kind.QUERY:
                self._stats.queries += 1
                account.queries += 1
            else:
                self._stats.lists += 1
            self._stats.in_flight += 1
            self._stats.max_in_flight = max(self._stats.max_in_flight, self._stats.in_flight)
            return call

    def is_forgotten(self, call: Call) -> bool:
        """Say whether the call began before the last reset."""
        return call.epoch != self._epoch

    def answer(self, call: Call, status: int | None) -> None:
        """Log how the request was answered: with this HTTP status, or not at all (None)."""
        with self._lock:
            call.status = status
            if call.epoch != self._epoch:
                return
            self._stats.in_flight -= 1
            _add_one(self._stats.statuses, "none" if status is None else str(status))

    def blame(self, call: Call, fault: str) -> None:
        """Note that this fault was applied to the request."""
        with self._lock:
            call.fault = fault
            if call.epoch != self._epoch:
                return
            _add_one(self._stats.faults, fault)
            self._stats.over_limit += fault == OVER_LIMIT

    def start(self, tool: str, business_id: str) -> Task:
        """Accept a swap call: from now on a query finds the task, pending. Every call makes a new task."""
        with self._lock:
            self._last_vendor_id += 1
            task = Task(business_id, str(self._last_vendor_id), tool, epoch=self._epoch)
            self._accounts.setdefault(business_id, _Account()).task = task
            return task

    def finish(self, task: Task, outcome: Outcome, *, visible_after_s: float = 0.0) -> None:
        """Book the work of a task as done, billed if it succeeded, to be seen by callers only after some seconds."""
        with self._lock:
            task.outcome = outcome
            task.visible_at = self.now() + visible_after_s
            if task.epoch != self._epoch:
                return
            self._stats.executed += 1
            if outcome.status is not Status.SUCCESS:
                self._stats.failed += 1
                return
            self._stats.billed += 1
            account = self._accounts[task.business_id]
            account.billed += 1
            if account.billed > 1:
                self._note_duplicate(task.business_id)

    def _note_duplicate(self, business_id: str) -> None:
        stats = self._stats
        stats.duplicates += 1
        if business_id not in stats.duplicate_ids and len(stats.duplicate_ids) < _SHOWN_DUPLICATES:
            stats.duplicate_ids.append(business_id)

    def find(self, tools: Collection[str], business_id: str) -> Task | None:
        """Return the newest task of this id, or None if none of these tools ever accepted it."""
        with self._lock:
            account = self._accounts.get(business_id)
            task = account.task if account else None
            return replace(task) if task and task.tool in tools else None

    def called_back(self, *, taken: bool) -> None:
        """Count a try of a callback."""
        with self._lock:
            self._stats.callbacks += taken
            self._stats.callbacks_refused += not taken

    def stats(self) -> dict[str, Any]:
        """Return the counts (see `Stats`)."""
        with self._lock:
            return asdict(self._stats)

    def calls(self, *, since: float = 0.0, business_id: str | None = None) -> list[dict[str, Any]]:
        """Return the logged calls in the order of their arrival, from `since` on, of one id or of all."""
        with self._lock:
            return [
                {
                    "at": call.at,
                    "kind": call.kind,
                    "business_id": call.business_id,
                    "status": call.status,
                    "fault": call.fault,
                }
                for call in self._log
                if call.at >= since and business_id in {None, call.business_id}
            ]

    def accounts(self, business_id: str | None = None) -> dict[str, Mapping[str, Any]]:
        """Return by business id (all, or the one given) how often it was called, queried and billed, and its task."""
        with self._lock:
            keys = self._accounts if business_id is None else self._accounts.keys() & {business_id}
            return {key: _describe(self._accounts[key]) for key in keys}


def _add_one(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


def _describe(account: _Account) -> dict[str, Any]:
    task = account.task
    outcome = task.outcome if task else None
    return {
        "calls": account.calls,
        "queries": account.queries,
        "billed": account.billed,
        "tool": task.tool if task else None,
        "vendor_id": task.vendor_id if task else None,
        "status": None if task is None else int(outcome.status if outcome else Status.PENDING),
        "output_url": first_picture(outcome.outputs) if outcome else None,
        "outputs": [output.model_dump(mode="json") for output in outcome.outputs] if outcome else [],
        "message": outcome.message if outcome else None,
        "done_at": task.visible_at if task and outcome else None,
    }
