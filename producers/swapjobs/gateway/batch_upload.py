"""`POST /v1/batches`: rows come in, an outcome for each goes out, both at the same time and at constant memory."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

import anyio
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from swapjobs.contract.errors import QueueFull, QueueUnavailable, SwapjobsError, TooManyRequests
from swapjobs.gateway.problems import HttpProblem, public
from swapjobs.gateway.upload_stream import Body, Gone, Spool
from swapjobs.ingest.row_reader import Row, read_rows
from swapjobs.ingest.submitter import (
    BLOCK,
    Backpressure,
    Outcome,
    RowResult,
    check_fixed_fields,
    prefix_of,
    queue_depth,
    submit_block,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from starlette.types import Receive, Scope, Send

    from swapjobs.contract.batch import Batch
    from swapjobs.gateway.dependencies import Parts
    from swapjobs.ingest.row_reader import Reading

T = TypeVar("T")

MEDIA_TYPES: Final = (
    *("application/x-ndjson", "application/jsonl", "text/csv", "text/tab-separated-values"),
    "application/vnd.ms-excel",  # as browsers call CSV where Excel is installed
)
HOLD_S: Final = 30.0  # rows are held back so long; proxies take a silence of a minute for death
_SILENCE_S: Final = 60.0
_PAUSE_S: Final = 1.0
MOST_UPLOADS: Final = 16  # at once in one process: each has a thread
MOST_OF_TENANT: Final = 8
_uploads = anyio.CapacityLimiter(MOST_UPLOADS)
_shares: WeakValueDictionary[str, anyio.CapacityLimiter] = WeakValueDictionary()


class Upload:
    """One request's rows on their way to Redis; all but `begin` and `answer` runs in a thread of its own.

    A row that cannot be taken now is held back, and so is the body behind it. After 30 s it is `refused`, and so is
    each further row until there is room or Redis is back: then the batch is not closed, and the same rows may be sent
    again with the same batch id.
    """

    def __init__(
        self, gateway: Parts, receive: Receive, tenant: str, reading: Reading, *, batch_id: str | None, close: bool
    ) -> None:
        self._reading = reading
        self._gateway, self._tenant, self._batch_id, self._close = gateway, tenant, batch_id, close
        self._share = _shares.setdefault(tenant, anyio.CapacityLimiter(MOST_OF_TENANT))
        self._body = Body(receive, _SILENCE_S)
        self._counts: Counter[Outcome] = Counter()
        self._block: list[Row] = []
        self._held_since: float | None = None
        self._room = Backpressure(
            gateway.settings.gateway_max_queued or None, lambda: queue_depth(gateway.client), self._hold
        )
        self.batch: Batch

    async def begin(self, callback_url: str | None) -> None:
        """Read the first line, and open the batch only if that makes sense.

        Raises:
            InvalidRequest: no CSV header and no JSON object, or a batch id or URL that is not valid.
            TooManyRequests: too many other uploads are under way.
            HttpProblem: the first line does not come.
        """
        if min(_uploads.available_tokens, self._share.available_tokens) <= 0:
            text = f"{MOST_OF_TENANT} batches of one tenant, or {MOST_UPLOADS} of all, are being received here already"
            raise TooManyRequests(text, retry_after_s=10)
        try:
            self._rows = await self._in_thread(lambda: self._open(callback_url))
        except Gone as error:
            raise HttpProblem(408, f"the first line did not come: {error}", code="request_timeout") from None

    def _open(self, callback_url: str | None) -> Iterator[Row]:
        rows = read_rows(self._body, "body", reading=self._reading)
        client = self._gateway.client
        self.batch = client.batches.open(self._batch_id, tenant=self._tenant, callback_url=callback_url)
        self._fixed = {"tenant": self._tenant, "batch_id": self.batch.id}
        self._prefix = prefix_of(self.batch.id)
        return rows

    async def _in_thread(self, action: Callable[[], T]) -> T:
        async with self._share:
            return await anyio.to_thread.run_sync(action, limiter=_uploads)

    async def answer(self, send: Callable[[bytes], Any]) -> None:
        """Take the rows, and pass on what became of them as it is known."""
        self._spool = Spool()
        self._body.before_wait = self._flush
        thread = asyncio.ensure_future(self._in_thread(self._run))
        try:
            while piece := await self._spool.take():
                await send(piece)
        finally:
            self._body.close()  # also when this is cancelled, or nobody reads: the thread must end
            with anyio.CancelScope(shield=True):
                await thread
            self._spool.close()

    def _run(self) -> None:
        try:
            self._take_all()
        except Gone as error:
            self._summary("request_timeout", str(error))
        except SwapjobsError as error:
            self._summary(error.code, public(error))
        finally:
            self._spool.end()

    def _take_all(self) -> None:
        for row in self._rows:
            self._block.append(check_fixed_fields(row, self._fixed))
            if len(self._block) >= BLOCK:
                self._flush()
        self._flush()
        client = self._gateway.client
        refused = self._counts["refused"]
        if self._close and not refused:
            self.batch = self._patiently(lambda: client.batches.close(self.batch.id, tenant=self._tenant))
        text = f"{refused} rows were not taken; send them again with this batch id" if refused else ""
        self._summary("too_many_requests" if refused else None, text)

    def _flush(self) -> None:
        while self._block:
            try:
                room = self._patiently(self._room)
                taken = self._block[:room]
                result = self._patiently(lambda: submit_block(self._gateway.client, taken, self._fixed, self._prefix))  # noqa: B023 - at once
                self._room.take(sum(item.outcome == "created" for item in result))
                self._held_since = None
            except (TooManyRequests, QueueFull, QueueUnavailable) as error:
                taken = self._block
                result = [_refused(row, error) for row in taken]
            self._block = self._block[len(taken) :]
            self._counts.update(item.outcome for item in result)
            self._spool.write(b"".join(_line(item._asdict()) for item in result))

    def _patiently(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, or raise its last error after half a minute without success."""
        while True:
            try:
                return action()
            except (QueueFull, QueueUnavailable) as error:
                self._give_up_late(error)
                time.sleep(_PAUSE_S)

    def _hold(self, depth: int) -> None:
        limit = self._gateway.settings.gateway_max_queued
        self._give_up_late(TooManyRequests(f"{depth} jobs are queued, {limit} may be"))

    def _give_up_late(self, error: SwapjobsError) -> None:
        now = time.monotonic()
        self._held_since = now if self._held_since is None else self._held_since
        if self._body.is_closed:
            raise Gone("the request was ended")
        if now - self._held_since >= HOLD_S:
            raise error

    def _summary(self, code: str | None, text: str) -> None:
        error = {"code": code, "detail": text} if code else None
        result = {"batch_id": self.batch.id, "state": self.batch.state, "complete": error is None}
        names: tuple[Outcome, ...] = ("created", "existing", "conflict", "invalid", "refused")
        counts = {name: self._counts[name] for name in names}
        self._spool.write(_line({"summary": {**result, "rows": self._counts.total(), **counts, "error": error}}))


class JsonLines(Response):
    """JSON lines."""

    media_type = "application/x-ndjson"


class UploadAnswer(JsonLines):
    """The answer to an upload. Not a StreamingResponse: that one reads the body away while it listens for its end."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(headers={"Location": f"/v1/batches/{upload.batch.id}", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._upload = upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """Send it; a client that takes nothing for a minute is left."""

        async def pass_on(message: Mapping[str, Any]) -> None:
            try:
                await asyncio.wait_for(send(dict(message)), _SILENCE_S)
            except TimeoutError:
                raise ClientDisconnect from None

        await pass_on({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._upload.answer(
            lambda piece: pass_on({"type": "http.response.body", "body": piece, "more_body": True})
        )
        await pass_on({"type": "http.response.body", "body": b""})


def _refused(row: Row, error: SwapjobsError) -> RowResult:
    if isinstance(row.content, str):
        return RowResult(row.line, None, "invalid", row.content)
    return RowResult(row.line, None, "refused", f"{error.code}: {public(error)}")


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
