"""Calls to the vendor. Never raises for what the vendor or the network does: that is an outcome."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from swapjobs import tracing
from swapjobs.contract.errors import SettingsError
from swapjobs.contract.vendor_tools.tool import PREFIX
from swapworker.outbound_http import ConnectionPool, NetError, Reply, split_url
from swapworker.vendor_client import read_reply, wire
from swapworker.vendor_client.outcome import ListReply

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.contract.vendor_tools.tool import Tool
    from swapjobs.settings import WorkerSettings
    from swapworker.vendor_client.outcome import Outcome
    from swapworker.vendor_client.request import VendorCall

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


class VendorClient:
    """The vendor's API. Thread-safe; one for each worker process.

    Raises:
        SettingsError: the URL can't be used.
    """

    def __init__(self, settings: WorkerSettings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        try:
            origin, base = split_url(settings.api_url)
        except ValueError as error:
            raise SettingsError(f"SWAPJOBS_API_URL: {error}") from None
        self._connections = ConnectionPool(origin)
        self._base = base.rstrip(b"/") + f"{PREFIX}/".encode("ascii")
        self._site = "/".join(settings.api_url.split("/")[:3])
        self._settings = settings
        self._now = now
        sent = {
            "X-Request-req-accessKeyId": settings.api_key_id,
            "X-Request-req-accessKeySecret": settings.api_key_secret,
        }
        credentials = {name: secret.get_secret_value() for name, secret in sent.items() if secret}
        self._secrets = tuple(credentials.values())
        self._headers = [
            (b"Content-Type", b"application/json"),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (b"User-Agent", f"swapjobs/{version('swapjobs')}".encode("ascii")),
            *((name.encode("ascii"), value.encode("ascii")) for name, value in credentials.items()),
        ]

    def make(self, call: VendorCall) -> Outcome:
        """Make a call of a tool, which may cost money, or ask what became of one."""
        query = call.tool.query if call.way else None
        try:
            reply = self.post(call.path, call.body)
        except NetError as error:
            return read_reply.read_query_error(error) if query else read_reply.read_swap_error(error)
        reading = read_reply.Reading(
            self._now(),
            query.reply if query else call.tool.reply,
            self._secrets,
            self._site,
            ends_when_accepted=call.tool.query is None,
        )
        if query:
            outcome = read_reply.read_query(reply, reading, self._settings.vendor_unknown_codes)
        else:
            outcome = read_reply.read_swap(reply, reading)
        return dataclasses.replace(outcome, http_status=reply.status)

    def close(self) -> None:
        """Close the connections; a call under way still ends."""
        self._connections.close()

    def read(self, tool: Tool, body: dict[str, Any]) -> ListReply:
        """Ask for what is answered at once."""
        try:
            reply = self.post(tool.path, body)
        except NetError as error:
            return ListReply(problem=str(error), result="outcome_unknown")
        return read_reply.read_list(reply, read_reply.Reading(self._now(), tool.reply, self._secrets, self._site))

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        """Post to a path below the vendor's prefix.

        Raises:
            NetError: there is no reply.
        """
        limit = self._settings.max_response_bytes
        headers = self._headers
        if self._settings.vendor_traceparent and (traceparent := tracing.current().traceparent):
            headers = [*headers, (b"traceparent", traceparent.encode("ascii"))]
        reply = self._connections.post(
            self._base + path.encode("ascii"),
            headers,
            _ENCODER.encode(body).encode("ascii"),
            timeout_s=self._settings.call_timeout_s,
            max_bytes=limit,
        )
        encoding = reply.headers.get("content-encoding")
        if encoding is None:
            return reply
        plain = wire.unpacked(reply.body, encoding.strip().lower(), limit)
        return reply if plain is None else dataclasses.replace(reply, body=plain)  # still packed, it is no JSON
