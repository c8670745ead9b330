"""Questions to the vendor that are answered at once: asked by a client, put by a worker, answered to the client."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.errors import VendorUnavailable
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

    from swapjobs.store.functions import Functions

_LOOK_S: Final = 2  # shorter than any time-out of the connection


@dataclass(frozen=True, slots=True)
class Question:
    """A question that a worker has claimed: what is asked of which tool, and how long it waits before (s)."""

    id: str
    tool: str
    input: Mapping[str, Any]
    wait_s: float


class ReadStore:
    """The questions in one Redis."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def ask(self, tool: str, given: Mapping[str, Any], timeout_s: float) -> Any:
        """Return what the vendor's `data` says, once a worker has asked.

        Raises:
            VendorUnavailable: nobody could ask in this time, or the vendor did not answer as it should.
        """
        id_ = f"read.{secrets.token_hex(10)}"
        question = json.dumps({"tool": tool, "input": given}, separators=(",", ":"))
        self._functions.call("reads/ask", id_, question, int(timeout_s * 1000))
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            left_s = max(until - time.monotonic(), 0.05)
            answer: Any = self._redis.blpop([keys.read_answer(id_)], timeout=min(_LOOK_S, left_s))
            if answer:
                said = json.loads(answer[1])
                if "error" in said:
                    raise VendorUnavailable(said["error"])
                return said["data"]
        self._redis.delete(keys.read(id_))
        raise VendorUnavailable(f"no worker has asked the vendor within {timeout_s:g} s; see swapjobs doctor")

    def claim(self, id_: str, lease_s: float) -> Question | str:
        """Book the call of a question; or return why not: `gone`, `busy`, `rate_limit`, `paused_manually`, `outage`."""
        answer, *rest = self._functions.call("reads/claim", id_, int(lease_s * 1000))
        if answer != "go":
            return str(answer)
        wait_ms, question = rest
        return Question(id_, **json.loads(question), wait_s=float(wait_ms) / 1000)

    def answer(
        self, id_: str, answer: Mapping[str, Any], *, pause_s: float = 0.0, call: str = "", call_ms: int = 0
    ) -> None:
        """Answer a question, and end its call; `pause_s` is for the whole fleet, where the vendor wants it.

        `call`, for the metrics: `tool call result`, empty where none was made; `call_ms`: how long it took.
        """
        text = json.dumps(answer, separators=(",", ":"))
        self._functions.call("reads/answer", id_, text, int(pause_s * 1000), call, call_ms)
