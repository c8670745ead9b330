"""Tasks that a product's own Celery app sent: from its message to a job, without a moment in which it may be lost.

A message lies in the queue's list, where kombu put it, or in the list of those that arrive, until one function in Redis
has recorded its job and what comes after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.errors import QueueFull
from swapjobs.contract.signed_urls import until_of
from swapjobs.store import keys, record
from swapjobs.store.redis_client import OutOfMemoryError
from swapjobs.tracing import NOWHERE, JobOrigin

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from swapjobs.contract.request import Request
    from swapjobs.store.functions import Functions

_REVOKED_TTL_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class ProductTask:
    """A task that asks for a swap.

    Attributes:
        id: The Celery task's.
        request: What it asks for; the job is the same one if the message comes twice.
        continuation: JSON of what its message says of what comes after it; empty where nothing does.
        message: As it lies in Redis.
        origin: The span in which the product sent it.
    """

    id: str
    request: Request
    continuation: str
    message: str
    origin: JobOrigin = NOWHERE


class ProductTaskStore:
    """The tasks of products in one Redis."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def wait(self, seconds: float) -> str | None:
        """Wait for a message, take it and return it; None where none came."""
        answer: Any = self._redis.blmove(keys.SWAPS_QUEUE, keys.arriving(), seconds, "RIGHT", "LEFT")  # type: ignore[arg-type]  # seconds may be a fraction
        return str(answer) if answer is not None else None

    def put(self, message: str) -> None:
        """Put a message that came by another broker into the queue."""
        self._redis.lpush(keys.SWAPS_QUEUE, message)

    def take(self, at_most: int) -> list[str]:
        """Take messages that are there, and those whose eta has come."""
        return [str(message) for message in self._functions.call("tasks/take", at_most)]

    def arriving(self) -> list[str]:
        """Return the messages that were taken and are neither recorded nor refused."""
        answer: Any = self._redis.lrange(keys.arriving(), 0, -1)
        return [str(message) for message in answer]

    def accept(self, tasks: Sequence[ProductTask]) -> list[str]:
        """Record tasks as jobs; return for each `created`, `existing`, `conflict` or `closed`.

        Raises:
            QueueFull: Redis is at its memory limit; some may be recorded.
        """
        ids, args = record.packed([task.request for task in tasks], until_of, (task.origin for task in tasks))
        size = len(args) // len(ids)
        flat: list[str] = []
        for number, task in enumerate(tasks):
            flat += [*args[size * number : size * (number + 1)], task.id, task.continuation, task.message]
        try:
            outcomes = [str(outcome) for outcome in self._functions.call("tasks/accept", *flat)]
        except OutOfMemoryError:
            raise QueueFull from None
        if "full" in outcomes:
            raise QueueFull
        return outcomes

    def refuse(self, task_id: str, told: str, message: str) -> None:
        """Tell the product, by a delivery with the JSON `told`, and be done with the message."""
        self._functions.call("tasks/refuse", task_id, told, message)

    def delay(self, message: str, until_ms: int) -> None:
        """Let a message arrive at this time."""
        self._functions.call("tasks/delay", message, until_ms)

    def revoke(self, task_id: str) -> None:
        """Let a task that may still arrive come to nothing."""
        self._redis.set(keys.revoked(task_id), "1", ex=_REVOKED_TTL_S)

    def revoked(self, task_ids: Sequence[str]) -> set[str]:
        """Return those of the tasks that were revoked before they arrived."""
        answers: Any = self._redis.mget([keys.revoked(task_id) for task_id in task_ids]) if task_ids else []
        return {task_id for task_id, answer in zip(task_ids, answers, strict=True) if answer}
