"""One attempt at a job, as named steps: claim, wait for the slot, ask the vendor, decide, write.

Celery is not in here; `tasks.py` turns a message into a call of `Attempts.run` and the answer into what Celery expects.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swapjobs import tracing
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.lifecycle import Event, Reason
from swapjobs.store.claims import NotClaimed
from swapjobs.store.redis_client import REDIS_AWAY
from swapworker.attempt import call_record
from swapworker.attempt.decision import Decision
from swapworker.attempt.retry_policy import decide
from swapworker.process.redis_retry import until_stored
from swapworker.vendor_client.outcome import NotStarted, Outcome, OutcomeUnknown
from swapworker.vendor_client.request import VendorCall, call_of, vendor_id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.attempts import AttemptStore
    from swapjobs.store.claims import Claim
    from swapworker.attempt.lease_keeper import LeaseKeeper
    from swapworker.process.slot_usage import SlotUsage
    from swapworker.vendor_client.client import VendorClient

logger = logging.getLogger(__name__)

# A slot is used within this of its time, else given up: late calls would come in a bunch with the next ones.
MAX_LATENESS_S: Final = 0.1
# Then a claim that was on its way when the worker began to leave is known.
_CLAIM_UNDER_WAY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Report:
    """What an attempt came to, for Celery and the log: `answer` is the store's answer to the write."""

    job_id: str
    decision: Decision
    answer: str


class Attempts:
    """Runs attempts; one for each worker process, shared by its slots."""

    def __init__(
        self,
        store: AttemptStore,
        vendor: VendorClient,
        leases: LeaseKeeper,
        settings: WorkerSettings,
        *,
        slot_usage: SlotUsage,
        random: Callable[[], float],
        callback_url: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._store = store
        self._vendor = vendor
        self._leases = leases
        self._settings = settings
        self._slot_usage = slot_usage
        self._random = random
        self._callback_url = callback_url
        self._stopping = threading.Event()
        self._leaving = False

    def run(self, job_id: str, worker: str = "") -> Report | NotClaimed:
        """Make one attempt at the job that a message names; `worker` is the name under which it is noted."""
        if self._leaving:
            self._store.return_message(job_id)
            return NotClaimed("stopping")
        began = time.monotonic()
        claim = self._store.claim(job_id, self._settings.lease_s)
        if isinstance(claim, NotClaimed):
            return claim
        with call_record.span_of(claim, worker) as span, self._leases.hold(claim, self._settings.call_timeout_s):
            obstacle = self._wait_for_slot(claim, claim.answered_at - began)
            if not obstacle:
                report = self._call(claim, worker)
                span.note(answer=report.answer, event=report.decision.event, code=report.decision.code)
                return report
            # Nothing was sent: the next claim does what this one was to do.
            span.note(obstacle=obstacle)
            reason = Reason.VENDOR_OUTAGE if obstacle == "outage" else Reason.RATE_LIMIT
            decision = Decision(Event.WAIT, patch={"next_call": claim.call, "reason": reason}, message=obstacle)
            return self._write(claim, decision)

    def _call(self, claim: Claim, worker: str) -> Report:
        """Ask the vendor, decide, write."""
        asked_at = time.monotonic()
        outcome = self._ask_vendor(claim)
        answered_at = time.monotonic()
        now_ms = claim.now_ms + int((answered_at - claim.answered_at) * 1000)
        decision = decide(outcome, claim, self._settings, self._random)
        entry = call_record.history_entry(decision, claim, outcome, now_ms, worker)
        call, call_ms = call_record.metrics_labels(claim, outcome), int((answered_at - asked_at) * 1000)
        report = self._write(claim, decision, entry, call, call_ms)
        vendor_id, times = vendor_id_of(claim, self._settings), (claim.answered_at, asked_at, answered_at)
        call_record.log(claim, vendor_id, outcome, decision, report.answer, times=times)
        return report

    def stop(self) -> None:
        """Let attempts that wait for their slot give it up: the worker is stopping."""
        self._stopping.set()

    def hand_back(self) -> int:
        """Give the running jobs back at once, for the process ends; return how many.

        Their calls are out: whoever claims them next looks them up first.
        """
        self._leaving = True
        handed_back: set[tuple[str, int]] = set()
        for pause_s in (_CLAIM_UNDER_WAY_S, 0):
            for claim in self._leases.held():
                if (claim.job.id, claim.fence) not in handed_back:
                    handed_back.add((claim.job.id, claim.fence))
                    self._store.record_outcome(claim, Event.WAIT, patch={"next_call": "query", "reason": Reason.RETRY})
            time.sleep(pause_s)
        return len(handed_back)

    def _wait_for_slot(self, claim: Claim, round_trip_s: float) -> str:
        """Return an empty text when the call may be made now, else why not.

        After a wait the claim is confirmed, so early that the answer is here in time.
        """
        due = claim.answered_at + claim.wait_s
        if round_trip_s > self._settings.lease_s:
            return "the claim's answer came after its lease"
        if claim.wait_s > round_trip_s:
            if self._stopping.wait(claim.wait_s - round_trip_s):
                return "the worker stops"
            try:
                answer = self._store.confirm(claim)
            except REDIS_AWAY:
                return "Redis cannot be reached"
            if answer != "ok":
                return answer
        if (early_s := due - time.monotonic()) > 0:
            time.sleep(early_s)
        return "the slot was missed" if time.monotonic() - due > MAX_LATENESS_S else ""

    def _ask_vendor(self, claim: Claim) -> Outcome:
        try:
            call = call_of(claim, self._settings, self._callback_url)
        except Exception as error:  # noqa: BLE001 - a fault of ours; nothing was sent
            return NotStarted(ErrorCode.INTERNAL, f"{type(error).__name__} in {_where(error)}")
        if not isinstance(call, VendorCall):
            return call
        try:
            name = claim.job.tool
            with self._slot_usage.call(), tracing.span("vendor call", "client", tool=name, call=claim.call) as span:
                outcome = self._vendor.make(call)
                call_record.note(span, outcome)
                return outcome
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave a job that may be paid for unlooked at
            what = f"{type(error).__name__} in {_where(error)}"
            logger.error("job %s: %s", claim.job.id, what)  # noqa: TRY400 - a traceback could show URLs
            return OutcomeUnknown(ErrorCode.INTERNAL, what, answered=True)  # perhaps by what came back

    def _write(self, claim: Claim, decision: Decision, entry: str = "", call: str = "", call_ms: int = 0) -> Report:
        """Write the decision, it may be paid for; while Redis is away it is kept in hand.

        Writing twice does no harm: the fence and the state refuse the second, and what has become too late.
        """
        answer = until_stored(
            lambda: self._store.record_outcome(
                claim,
                decision.event,
                patch=decision.patch,
                entry=entry,
                schedule=decision.schedule,
                delay_s=decision.delay_s,
                pause_s=decision.pause_s,
                signal=decision.signal,
                made_at_ms=claim.now_ms + int(claim.wait_s * 1000),
                next_call_if_uncharged=decision.next_call_if_uncharged,
                call=call,
                call_ms=call_ms,
            )
        )
        return Report(claim.job.id, decision, answer)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
