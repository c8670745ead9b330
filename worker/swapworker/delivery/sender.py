"""One delivery of a webhook: sign, send, say what came of it. Never raises for what a receiver does."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Literal

from swapjobs import tracing
from swapjobs.contract.webhook_signing import SharedSecretSigner, Signer
from swapworker.delivery import address_guard
from swapworker.outbound_http import (
    Connection,
    Deadline,
    Guard,
    Headers,
    NetError,
    Origin,
    Reply,
    Resolver,
    retry_after_s,
    split_url,
    system_resolver,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from datetime import datetime

    from swapjobs.settings import WorkerSettings

_MAX_REPLY_BYTES: Final = 4096  # only the status counts; reading a little spares the receiver a broken connection
_GONE: Final = 410
Style = Literal["standard", "vendor"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one try. `status` is None without an answer; `gone`: the receiver wants no more of it, ever."""

    ok: bool
    status: int | None
    duration_ms: int
    reason: str = ""
    retry_after_s: float | None = None
    gone: bool = False


class WebhookSender:
    """Sends signed events. Thread-safe; one for each worker process.

    Each delivery has a connection of its own: receivers differ, an address is checked when it is connected to, and an
    idle connection to a customer's server is worth less than that.
    """

    def __init__(
        self, settings: WorkerSettings, *, tls: ssl.SSLContext | None = None, resolver: Resolver = system_resolver
    ) -> None:
        secrets = settings.webhook_secrets if settings.webhook_rotating else settings.webhook_secrets[:1]
        self._signers = tuple(SharedSecretSigner(secret.get_secret_value()) for secret in secrets)
        self._networks = settings.webhook_allowed_networks
        self._ports = settings.webhook_ports
        self._timeout_s = settings.webhook_timeout_s
        self._tls = tls
        self._resolver = resolver
        self._agent = f"swapjobs/{version('swapjobs')}".encode("ascii")

    def send(
        self,
        url: str,
        message_id: str,
        event_json: str,
        *,
        at: datetime,
        signers: Sequence[Signer] | None = None,
        style: Style = "standard",
    ) -> Delivery:
        """POST the event to `url`, signed as of `at`, the time of this try (aware).

        `signers`: those of an endpoint, all of which sign; None: those of `SWAPJOBS_WEBHOOK_SECRETS`.

        `style` is what counts as received. "standard": a 2xx status, whatever becomes of the reply's body. "vendor": a
        2xx status with JSON whose `code` is "200" or 200, as the vendor does it; such an event may go unsigned, for
        the vendor signs none.
        """
        signers = self._signers if signers is None else signers
        if not signers and style == "standard":
            return Delivery(ok=False, status=None, duration_ms=0, reason="no webhook secret configured")
        began = time.monotonic()
        status, wait_s, trouble = None, None, ""
        try:
            reply = self._post(url, self._headers(message_id, event_json, at, signers), event_json.encode())
            status, wait_s = reply.status, retry_after_s(reply.headers, at)
            trouble = _misunderstood(reply) if style == "vendor" else ""
        except NetError as error:
            status, trouble = error.status, str(error)
        except ValueError as error:
            trouble = f"the URL {error}"
        is_2xx = status is not None and 200 <= status < 300  # noqa: PLR2004 - HTTP
        ok = is_2xx and (style == "standard" or not trouble)
        return Delivery(
            ok=ok,
            status=status,
            duration_ms=round((time.monotonic() - began) * 1000),
            reason="" if ok else trouble if status is None or is_2xx else _explained(status),
            retry_after_s=None if ok else wait_s,
            gone=status == _GONE,
        )

    def _post(self, url: str, headers: Headers, body: bytes) -> Reply:
        origin, target = split_url(url)
        connection = Connection(origin, guard=self._guard(origin), tls=self._tls, resolver=self._resolver)
        try:
            deadline = Deadline(self._timeout_s)
            return connection.post(target, headers, body, deadline=deadline, max_bytes=_MAX_REPLY_BYTES)
        finally:
            connection.close()

    def _guard(self, origin: Origin) -> Guard:
        if origin.scheme != "https":
            return address_guard.guard(
                self._networks, otherwise="https is required, except to SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS"
            )
        if origin.port not in self._ports:
            return address_guard.guard(
                self._networks, otherwise=f"port {origin.port} is not one of SWAPJOBS_WEBHOOK_PORTS"
            )
        return address_guard.guard(self._networks)

    def _headers(self, message_id: str, event_json: str, at: datetime, signers: Sequence[Signer]) -> Headers:
        headers = [
            (b"Content-Type", b"application/json"),
            (b"User-Agent", self._agent),
            (b"Connection", b"close"),
            (b"webhook-id", message_id.encode()),
            (b"webhook-timestamp", b"%d" % int(at.timestamp())),
        ]
        if traceparent := tracing.current().traceparent:
            headers.append((b"traceparent", traceparent.encode("ascii")))
        if signers:
            signatures = " ".join(signer.sign(message_id, at, event_json) for signer in signers)
            headers.append((b"webhook-signature", signatures.encode("ascii")))
        return headers


def _misunderstood(reply: Reply) -> str:
    """Return why the vendor would not count this as received; empty if it would."""
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        return f"the receiver answered {reply.status}, but not with JSON"
    code = answer.get("code") if isinstance(answer, dict) else None
    if code in ("200", 200):
        return ""
    return f"the receiver answered {reply.status}, but without the code 200 in its JSON"


def _explained(status: int) -> str:
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP
        return f"the receiver answered {status}; redirects are not followed"
    if status == _GONE:
        return "the receiver answered 410: gone"
    return f"the receiver answered {status}"
