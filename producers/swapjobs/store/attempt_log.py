"""The attempts at a job, read out of its history.

An entry of the history that tells of a call has `at`, when the call was sent, by which the answers to its look-ups are
known to belong to it: what they bring is the outcome of that attempt, and no other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.attempt import Attempt
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.timestamps import from_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_KINDS: Final = frozenset({"attempt", "error", "result"})


def calls_of(history: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return, for each round, the last entry of each call."""
    rounds: list[list[Mapping[str, Any]]] = [[]]
    for line in history:
        kind, calls = line.get("kind"), rounds[-1]
        if kind == "retry":
            rounds.append([])
        elif kind in _KINDS and "at" in line:
            if not calls or calls[-1]["at"] != line["at"]:
                calls.append(line)
            elif line.get("code") != ErrorCode.ATTEMPTS_EXHAUSTED:  # which says less than the failure before it
                calls[-1] = line
    return rounds


def number_of(history: Iterable[Mapping[str, Any]], sent_at: int) -> int:
    """Return the number, in its round, of the attempt that was sent at this time (ms); it may not be there yet."""
    calls = calls_of(history)[-1]
    return len(calls) + (sent_at not in {line["at"] for line in calls})


def attempts_of(history: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    """Return all attempts, the oldest first."""
    return [
        _attempt(line, round_, number)
        for round_, calls in enumerate(calls_of(history), 1)
        for number, line in enumerate(calls, 1)
    ]


def _attempt(line: Mapping[str, Any], round_: int, number: int) -> Attempt:
    is_result = line["kind"] == "result"
    return Attempt(
        number=number,
        round=round_,
        began_at=from_ms(line["at"]),
        ended_at=from_ms(line["at"] + line.get("duration_ms", 0)),
        outcome="succeeded" if is_result else "failed",
        code=line.get("last_code") or line.get("code"),
        message=line.get("last_message") or line.get("message"),
        http_status=line.get("status", 200 if is_result else None),
        worker=line.get("worker"),
    )
