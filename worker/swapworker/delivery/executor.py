"""One try to deliver a webhook: claim, build the event, send, write down what came of it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from swapjobs import tracing
from swapjobs.store import record
from swapjobs.tracing import NOWHERE
from swapworker.delivery import log_line
from swapworker.delivery.continuation import NotYet, end_of
from swapworker.delivery.event import body_of, message_id, signers_of
from swapworker.delivery.schedule import next_delay
from swapworker.delivery.sender import Delivery
from swapworker.process.redis_retry import until_stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.claims import DeliveryClaim
    from swapjobs.store.webhooks.deliveries import DeliveryStore
    from swapworker.delivery.continuation import TaskEnd
    from swapworker.delivery.sender import Style, WebhookSender

logger = logging.getLogger(__name__)

# Beyond the request itself: writing down what it came to.
_MARGIN_S: Final = 15.0
_SERVER_ERROR: Final = 500
_LONGEST_PAUSE_S: Final = 60.0  # between two tries to tell a product's Celery app
_TOO_MUCH: Final = frozenset({408, 425, 429})
_NO_MASTER: Final = "SWAPJOBS_WEBHOOK_MASTER_SECRET is not set for the worker"


State = Literal["delivered", "undelivered", "pending"]


@dataclass(frozen=True, slots=True)
class Tried:
    """How a delivery stands after one try."""

    state: State
    reason: str
    again_s: float | None


class Deliveries:
    """Runs deliveries; one for each worker process, shared by its slots."""

    def __init__(
        self,
        store: DeliveryStore,
        sender: WebhookSender,
        settings: WorkerSettings,
        *,
        tell_product: Callable[[TaskEnd], None],
        random: Callable[[], float],
    ) -> None:
        self._tell_product = tell_product
        self._store = store
        self._sender = sender
        self._settings = settings
        self._random = random
        self._held: dict[tuple[str, int], DeliveryClaim] = {}

    def run(self, delivery_id: str) -> Tried | None:
        """Make one try of the delivery that a message names; None where there was nothing to do."""
        is_continuation = record.is_continuation(delivery_id)
        lease_s = self._settings.lease_s if is_continuation else self._settings.webhook_timeout_s + _MARGIN_S
        claim = self._store.claim(delivery_id, lease_s)
        if claim is None:
            return None
        key = (claim.id, claim.fence)
        self._held[key] = claim
        origin = claim.job.origin if claim.job else NOWHERE
        try:
            with tracing.span("delivery", "producer", origin=origin, delivery=claim.id) as span:
                tried = self._continue(claim) if is_continuation else self._deliver(claim)
                span.note(state=tried.state, reason=tried.reason or None)
                return tried
        finally:
            del self._held[key]

    def hand_back(self) -> int:
        """Let the deliveries under way be tried again at once, for the process ends; return how many."""
        held = list(self._held.values())
        for claim in held:
            self._store.hand_back(claim)
        return len(held)

    def _deliver(self, claim: DeliveryClaim) -> Tried:
        style: Style = "standard"
        if record.is_own_delivery(claim.id):
            style = claim.delivery.request.get("callback_style", "standard")
        delivery = self._send(claim, style)
        tries = claim.delivery.number("delivery_tries") + 1
        again_s = None
        if not (delivery.ok or delivery.gone):
            again_s = next_delay(tries, self._random, delivery.retry_after_s, style=style)
        state: State = "delivered" if delivery.ok else "undelivered" if again_s is None else "pending"
        tried = record.entry(
            "webhook",
            at=claim.now_ms,
            number=tries,
            status=delivery.status,
            duration_ms=delivery.duration_ms,
            reason=delivery.reason,
        )
        answer = until_stored(
            lambda: self._store.settle(
                claim,
                state,
                status=delivery.status,
                entry=tried,
                delay_s=again_s or 0,
                host=_host(delivery),
                took_ms=delivery.duration_ms,
                gone=delivery.reason if delivery.gone else "",
            )
        )
        if answer == "disabled":
            endpoint_id = claim.delivery.fields["endpoint"]
            logger.warning("webhook endpoint %s is disabled; see swapjobs webhooks endpoints", endpoint_id)
        return _told(claim, "undelivered" if answer == "too_late" else state, tries, delivery, again_s)

    def _continue(self, claim: DeliveryClaim) -> Tried:
        """Tell a product's own Celery app of the end of its task, in the place of a webhook."""
        began, reason = time.monotonic(), ""
        host: Literal["up", "down", ""] = "up"
        try:
            self._tell_product(end_of(claim.delivery.request["data"], claim.job))
        except NotYet as wait:
            reason, host = str(wait), ""
        except Exception as error:  # noqa: BLE001 - of Celery, a broker, a backend: whatever it is, it is tried again
            reason, host = str(error) or type(error).__name__, "down"
        tries = claim.delivery.number("delivery_tries") + 1
        again_s = min(2.0 ** min(tries, 16), _LONGEST_PAUSE_S) * (0.5 + self._random() / 2) if reason else None
        took_ms = int((time.monotonic() - began) * 1000)
        state: State = "pending" if reason else "delivered"
        tried = record.entry("webhook", at=claim.now_ms, number=tries, duration_ms=took_ms, reason=reason)
        settle = partial(self._store.settle, claim, state, status=None, entry=tried, delay_s=again_s or 0)
        answer = until_stored(lambda: settle(host=host, took_ms=took_ms))
        delivery = Delivery(ok=not reason, status=None, duration_ms=took_ms, reason=reason)
        return _told(claim, "undelivered" if answer == "too_late" else state, tries, delivery, again_s)

    def _send(self, claim: DeliveryClaim, style: Style) -> Delivery:
        url = claim.endpoint.get("url") or claim.delivery.request.get("callback_url") or claim.delivery.request["url"]
        signers = None
        if claim.endpoint:
            master = self._settings.webhook_master_secret
            if master is None:
                return Delivery(ok=False, status=None, duration_ms=0, reason=_NO_MASTER)
            signers = signers_of(claim, master)
        body = body_of(claim, style)
        return self._sender.send(url, message_id(claim), body, at=datetime.now(UTC), signers=signers, style=style)


def _told(claim: DeliveryClaim, state: State, number: int, delivery: Delivery, again_s: float | None) -> Tried:
    """Log the try, and return how the delivery stands after it."""
    log_line.write(claim, state, delivery, number=number, again_s=again_s)
    return Tried(state, delivery.reason, again_s)


def _host(delivery: Delivery) -> Literal["up", "down"]:
    """Say what a try tells of the receiver's host: whoever refuses one event is there for another."""
    status = delivery.status
    return "down" if status is None or status >= _SERVER_ERROR or status in _TOO_MUCH else "up"
