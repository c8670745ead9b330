"""Operations: begun here, made in steps by the dispatcher and by whoever waits for them (lua/shared/operations)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, cast

from swapjobs import actor
from swapjobs.contract.errors import OperationNotFound
from swapjobs.contract.operation import Operation
from swapjobs.contract.timestamps import from_ms, time_of
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import redis

    from swapjobs.contract.operation import OperationRequest
    from swapjobs.store.functions import Functions

_MOST: Final = 200


class OperationStore:
    """The operations in one Redis."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def start(self, request: OperationRequest) -> str:
        """Begin an operation and return its id."""
        id_ = f"op-{secrets.token_hex(8)}"
        self._functions.call(
            "operations/start",
            id_,
            request.kind,
            "1" if request.dry_run else "",
            request.tenant or "",
            request.batch_id or "",
            ",".join(sorted(request.states)),
            request.error_code or "",
            _ms(request.created_after, "-"),
            _ms(request.created_before, "+"),
            request.tool or "",
            actor.current().who,
        )
        return id_

    def step(self, id_: str) -> str:
        """Go on with it; return `more`, `done`, or `full`: nothing can be retried now."""
        return str(self._functions.call("operations/continue", id_))

    def stop(self, id_: str) -> str:
        """Do no more of it; return `ok`, or `done` where it was over."""
        return str(self._functions.call("operations/stop", id_))

    def get(self, id_: str) -> Operation:
        """Return how far it is.

        Raises:
            OperationNotFound: there is none with this id, or it was over 90 days ago.
        """
        fields = cast("dict[str, str]", self._redis.hgetall(keys.operation(id_)))
        if not fields:
            raise OperationNotFound(f"there is no operation {id_!a}")
        return _operation(id_, fields)

    def list(self, tenant: str | None) -> list[Operation]:
        """Return the newest operations, of one tenant or of all."""
        ids: Any = self._redis.zrevrange(keys.operations(), 0, _MOST - 1)
        with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.hgetall(keys.operation(id_))
            rows = zip(ids, pipe.execute(), strict=True)
        return [_operation(id_, fields) for id_, fields in rows if fields and tenant in {None, fields["tenant"]}]


def _operation(id_: str, fields: Mapping[str, str]) -> Operation:
    state = fields["states"] if "," not in fields["states"] else None
    until, began_ms = fields["until"], fields["created_at"]
    return Operation(
        id=id_,
        kind=cast("Any", fields["kind"]),
        dry_run=bool(fields["dry"]),
        tenant=fields["tenant"] or None,
        batch_id=fields["batch"] or None,
        state=cast("Any", state),
        error_code=cast("Any", fields["code"] or None),
        tool=fields.get("tool") or None,
        created_after=from_ms(int(fields["from"])) if fields["from"] != "-" else None,
        created_before=from_ms(int(until)) if until != began_ms else None,
        status="stopped" if "stopped" in fields else "done" if "finished_at" in fields else "running",
        **{name: int(fields[name]) for name in ("total", "looked_at", "changed", "left")},
        by=fields["by"],
        created_at=from_ms(int(began_ms)),
        finished_at=time_of(fields, "finished_at"),
    )


def _ms(time: datetime | None, otherwise: str) -> str:
    return str(max(int(time.timestamp() * 1000), 0)) if time else otherwise
