"""Calls that come while another is under way go together in the next one: what any call costs is paid once.

The threads of a worker do so among themselves. Who finds none under way sends at once, so that a lone call is as quick
as ever, and nobody waits for a clock. The others wait, and then the first of them sends for all: the busier worker and
Redis are, the more goes together.
"""

from __future__ import annotations

import copy
import os
import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import redis

if TYPE_CHECKING:
    from swapjobs.store.functions import Functions

_AT_ONCE: Final = 16  # Redis does nothing else for that long: 2 ms
# Where Redis waits for its disk, or is silent, who comes later than this does not wait for that call too.
_SLOW_S: Final = 0.1
_UNKNOWN: Final = object()


class GroupedCalls:
    """Calls those functions that `jobs/several` knows. Thread-safe; a forked process goes on with groups of its own."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._group = _Group()

    def call(self, name: str, *args: str | float) -> tuple[Any, float]:
        """Run `lua/functions/<name>.lua` atomically, as `Functions.call` does.

        Returns:
            Its answer, and when that was here by the monotonic clock: a thread that waits hears of it later.

        Raises:
            redis.ResponseError: Redis refused this call; that says nothing of those that went with it.
            redis.RedisError: as there, for all that went together.
        """
        group, call = self._group, _Call(name, args)
        if group.pid != os.getpid():
            self._group = group = _Group()
        if not group.is_sent_by_another(call):
            calls = [call]
            try:
                group.add_waiting(calls)
                self._send(calls)
            finally:
                group.finish(calls)
        return call.result(), call.answered_at

    def _send(self, calls: list[_Call]) -> None:
        """Send the calls together, and note what came of each."""
        try:
            if len(calls) == 1:
                answers = [self._functions.call(calls[0].name, *calls[0].args)]
            else:
                flat = [item for call in calls for item in (call.name, len(call.args), *call.args)]
                answers = self._functions.call("jobs/several", *flat)
            now = time.monotonic()
            for call, answer in zip(calls, answers, strict=True):
                call.outcome, call.answered_at = answer, now
        except Exception as error:  # noqa: BLE001 - whatever it is, each of them is told
            calls[0].outcome = error
            for call in calls[1:]:
                call.outcome = own_copy(error)


class _Call:
    """A call that waits or is under way; its `outcome` is an answer or an error.

    It waits for `turn`: by then it was sent, or is to send (`leads`).
    """

    __slots__ = ("answered_at", "args", "leads", "name", "outcome", "turn")

    def __init__(self, name: str, args: tuple[str | float, ...]) -> None:
        self.name = name
        self.args = args
        self.outcome: Any = _UNKNOWN
        self.answered_at = 0.0
        self.turn = Lock()
        self.leads = False

    def result(self) -> Any:
        if self.outcome is _UNKNOWN:
            raise redis.ConnectionError("the thread that sent this call was interrupted")
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class _Group:
    """Who waits in one process, and how many send."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._mutex = Lock()
        self._waiting: deque[_Call] = deque()
        self._senders = 0
        self._sent_at = 0.0

    def is_sent_by_another(self, call: _Call) -> bool:
        """Wait until another thread has sent the call; False where its own is to send it, with those that wait."""
        with self._mutex:
            is_late = len(self._waiting) >= _AT_ONCE or time.monotonic() - self._sent_at > _SLOW_S
            if not self._senders or is_late:
                self._senders += 1
                return False
            call.turn.acquire()
            self._waiting.append(call)
        try:
            call.turn.acquire()
        except BaseException:
            self._leave(call)
            raise
        return not call.leads

    def add_waiting(self, calls: list[_Call]) -> None:
        """Add those that wait to the sender's own call, as far as they go together."""
        with self._mutex:
            self._sent_at = time.monotonic()
            while self._waiting and len(calls) < _AT_ONCE:
                calls.append(self._waiting.popleft())

    def finish(self, calls: list[_Call]) -> None:
        """Let the first that waits send; then those go on that were sent. At once, whatever became of the call."""
        self._pass_on()
        for call in calls[1:]:
            call.turn.release()

    def _pass_on(self) -> None:
        with self._mutex:
            if self._waiting:
                following = self._waiting.popleft()
                following.leads = True
                following.turn.release()
            else:
                self._senders -= 1

    def _leave(self, call: _Call) -> None:
        """Go, since its thread was interrupted; nobody may wait for it."""
        with self._mutex:
            if call in self._waiting:
                self._waiting.remove(call)
        if call.leads:
            self._pass_on()


def own_copy(error: Exception) -> Exception:
    """Return a copy of an error that several are told: what Python notes in it where it is raised is for one alone."""
    try:
        result = copy.copy(error)
    except TypeError:  # its class wants more than what it was made of
        return error
    result.__cause__ = error.__cause__
    return result
