"""Keeps the leases of this worker's running jobs, all in one round trip every few seconds."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swapjobs.store.claims import Claim
    from swapjobs.store.store import Store
    from swapworker.process.watchdog import Watchdog

# Beyond the call itself: writing down what it came to.
_MARGIN_S: Final = 10.0
_TRY_AGAIN_S: Final = 1.0
# Longer than a slot needs to write its result once Redis is there again, or once a frozen process goes on.
_STUCK_S: Final = 3.0


class LeaseKeeper:
    """The running attempts of one worker process, and the thread that renews their leases.

    Each is renewed only until its own deadline, so a slot that hangs loses its job instead of keeping it for ever.
    The thread is a daemon: it must outlive the pool's last job, and ends with the process.
    """

    def __init__(
        self, store: Store, lease_s: float, watchdog: Watchdog, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._lease_s = lease_s
        self._watchdog = watchdog
        self._now = now
        self._held: dict[tuple[str, int], tuple[Claim, float]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._overdue: dict[tuple[str, int], float] = {}
        self.stuck = 0

    @contextmanager
    def hold(self, claim: Claim, call_timeout_s: float) -> Iterator[None]:
        """Renew the claim's lease while the block runs."""
        key = (claim.job.id, claim.fence)
        deadline = self._now() + claim.wait_s + call_timeout_s + _MARGIN_S
        with self._lock:
            self._held[key] = claim, deadline
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_for_ever, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._held[key]

    def held(self) -> list[Claim]:
        """Return the claims of the attempts that run now."""
        with self._lock:
            return [claim for claim, _ in self._held.values()]

    def renew(self) -> None:
        """Renew once; where a lease is lost already, the fence will judge the late result.

        `stuck` is then the number of slots that are past their deadline and had time since, with Redis there, to write
        their result.
        """
        now = self._now()
        with self._lock:
            held = [(*key, min(self._lease_s, deadline - now)) for key, (_, deadline) in self._held.items()]
        overdue = {(id_, fence) for id_, fence, left in held if left <= 0}
        try:
            if len(overdue) < len(held):
                self._store.attempts.renew_leases([lease for lease in held if lease[2] > 0])
            elif overdue:
                self._store.ping()
        except Exception:
            self._overdue.clear()
            raise
        self._overdue = {key: self._overdue.get(key, now) for key in overdue}
        self.stuck = sum(now - since >= _STUCK_S for since in self._overdue.values())

    def _renew_for_ever(self) -> None:
        pause_s = self._lease_s / 4
        while True:
            time.sleep(pause_s)
            try:
                self.renew()
            except Exception as error:  # noqa: BLE001 - the thread must not die: every lease hangs on it
                self._watchdog.report_failure("lease keeper", error)
                pause_s = min(_TRY_AGAIN_S, self._lease_s / 4)
            else:
                self._watchdog.heartbeat("lease keeper")
                pause_s = self._lease_s / 4
