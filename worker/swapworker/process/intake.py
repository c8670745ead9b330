"""The intake: makes jobs of the tasks that a product's own Celery app sent. A thread of each swap worker."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Literal, Protocol

from swapjobs.contract.errors import IdempotencyConflict, InvalidRequest, QueueFull
from swapjobs.store.redis_client import REDIS_AWAY, RedisError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from swapjobs.store.product_tasks import ProductTask, ProductTaskStore
    from swapworker.process.watchdog import Watchdog

logger = logging.getLogger(__name__)

_WAIT_S: Final = 1.0
_AT_ONCE: Final = 100
# What another worker took and has not dealt with for so long is dealt with again.
_STALE_S: Final = 10.0
_PAUSE_S: Final = 1.0

Refused = Literal["FAILURE", "REVOKED"]


class Message(Protocol):
    """A task's message, as `celery_adapter/task_message.py` reads it."""

    @property
    def id(self) -> str: ...  # noqa: D102 - see there
    @property
    def raw(self) -> str: ...  # noqa: D102
    @property
    def eta_ms(self) -> int: ...  # noqa: D102
    @property
    def expires(self) -> datetime | None: ...  # noqa: D102

    def task(self) -> ProductTask:
        """Return the task; raises InvalidRequest."""

    def refusal(self, state: Refused, reason: str) -> str:
        """Return what is told of it; empty where nobody wants to know."""


class Intake:
    """Takes messages, records their jobs, and refuses what can't be done: the product is told in any case."""

    def __init__(
        self,
        store: ProductTaskStore,
        read: Callable[[str], Message | None],
        now_ms: Callable[[], int],
        watchdog: Watchdog,
    ) -> None:
        self._store = store
        self._read = read
        self._now_ms = now_ms
        self._watchdog = watchdog
        self._seen: set[str] = set()
        self._looked_at = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what was taken and not dealt with is left to other workers, or to the next start."""
        self._stopping.set()
        self._thread.join(5)

    def step(self) -> None:
        """Wait for messages, at most a second, and deal with them and with what others left."""
        first = self._store.wait(_WAIT_S)
        messages = [first] if first is not None else []
        messages += self._store.take(_AT_ONCE - len(messages))
        self._watchdog.heartbeat("intake")
        self._deal_with(messages)
        if time.monotonic() - self._looked_at >= _STALE_S:
            self._looked_at = time.monotonic()
            left = self._store.arriving()
            stale = [message for message in left if message in self._seen]
            for start in range(0, len(stale), _AT_ONCE):
                self._deal_with(stale[start : start + _AT_ONCE])
            self._seen = set(left) - set(stale)

    def _deal_with(self, messages: Sequence[str]) -> None:
        read = [message for message in map(self._read_or_drop, messages) if message is not None]
        if not read:
            return
        now_ms = self._now_ms()
        revoked = self._store.revoked([message.id for message in read])
        accepted: list[tuple[Message, ProductTask]] = []
        for message in read:
            if message.id in revoked:
                self._refuse(message, "REVOKED", "revoked")
            elif message.expires and message.expires.timestamp() * 1000 <= now_ms:
                self._refuse(message, "REVOKED", "expired")
            elif message.eta_ms > now_ms:
                self._store.delay(message.raw, message.eta_ms)
            else:
                try:
                    accepted.append((message, message.task()))
                except InvalidRequest as error:
                    self._refuse(message, "FAILURE", f"{error.code}: {error}")
                except Exception as error:  # noqa: BLE001 - it must not hold up those beside it, for ever
                    self._refuse(message, "FAILURE", f"internal: {type(error).__name__}")
        if accepted:
            self._record(accepted)

    def _read_or_drop(self, raw: str) -> Message | None:
        message = self._read(raw)
        if message is None:
            self._store.refuse("", "", raw)
        return message

    def _record(self, accepted: Sequence[tuple[Message, ProductTask]]) -> None:
        try:
            outcomes = self._store.accept([task for _, task in accepted])
        except RedisError as error:
            if isinstance(error, REDIS_AWAY):
                raise
            if len(accepted) > 1:  # one of them can't be recorded
                for one in accepted:
                    self._record([one])
                return
            self._refuse(accepted[0][0], "FAILURE", f"internal: {type(error).__name__}")
            return
        for (message, task), outcome in zip(accepted, outcomes, strict=True):
            if outcome == "conflict":
                text = IdempotencyConflict.text_of(task.request.business_task_id, task.request.tenant)
                self._refuse(message, "FAILURE", f"{IdempotencyConflict.code}: {text}")
            elif outcome == "closed":
                self._refuse(message, "FAILURE", "batch_closed: batch_id: this batch is closed, it takes no more jobs")

    def _refuse(self, message: Message, state: Refused, reason: str) -> None:
        logger.warning("task %s is not done: %s", message.id, reason)
        self._store.refuse(message.id, message.refusal(state, reason), message.raw)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step()
            except QueueFull:
                self._stopping.wait(_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - the thread must not die: messages would stay where they are
                self._watchdog.report_failure("intake", error)
                self._stopping.wait(_PAUSE_S)
