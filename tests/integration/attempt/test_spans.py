"""The spans of jobs in one process, with OpenTelemetry's SDK: many that came together link to their submit."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from support.builders import job_of, make_request
from swapjobs import SwapClient, tracing
from swapjobs.settings import WorkerSettings
from swapjobs.store import keys
from swapworker.attempt.executor import Attempts
from swapworker.attempt.lease_keeper import LeaseKeeper
from swapworker.process.slot_usage import SlotUsage
from swapworker.process.watchdog import Watchdog
from swapworker.vendor_client.client import VendorClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from support.web_server import WebServer
    from swapjobs.store.store import Store

LEASE_S = 1000.0  # its thread sleeps all the time
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What an SDK's provider exports, which is there for this test alone."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


@pytest.fixture
def run_all(store: Store, vendor_site: WebServer) -> Iterator[Callable[..., None]]:
    """Make an attempt at each job whose message is out."""
    with ExitStack() as stack:

        def run(*, tell_vendor: bool = False) -> None:
            settings = WorkerSettings(api_url=vendor_site.url, vendor_traceparent=tell_vendor)
            vendor = stack.enter_context(closing(VendorClient(settings)))
            leases = LeaseKeeper(store, LEASE_S, Watchdog(180, lambda: 0.0))
            attempts = Attempts(store.attempts, vendor, leases, settings, slot_usage=SlotUsage(), random=lambda: 0.5)
            for lane in (keys.INTERACTIVE, keys.BULK):
                while message := store.redis.rpop(keys.READY[lane]):
                    attempts.run(job_of(message), "w@here")

        yield run


def context_of(span: ReadableSpan) -> trace.SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def test_a_job_s_attempt_is_a_child_of_its_submit_and_has_the_vendor_call(
    exporter: InMemorySpanExporter, client: SwapClient, run_all: Callable[..., None]
) -> None:
    with trace.get_tracer("product").start_as_current_span("checkout") as checkout:
        job = client.submit(make_request())
    run_all()
    (submit,), (attempt,), (call,) = (named(exporter, name) for name in ("submit", "attempt", "vendor call"))
    assert {context_of(span).trace_id for span in (submit, attempt, call)} == {checkout.get_span_context().trace_id}
    assert [span.parent and span.parent.span_id for span in (submit, attempt, call)] == [
        checkout.get_span_context().span_id,
        *(context_of(span).span_id for span in (submit, attempt)),
    ]
    assert attempt.attributes == {
        "swapjobs.job": job.id,
        "swapjobs.tenant": "default",
        "swapjobs.worker": "w@here",
        "swapjobs.answer": "ok",
        "swapjobs.event": "succeed",
    }
    assert call.attributes == {
        "swapjobs.tool": "roop",
        "swapjobs.call": "swap",
        "swapjobs.result": "succeeded",
        "swapjobs.http_status": 200,
    }
    assert (submit.kind, attempt.kind, call.kind) == (
        trace.SpanKind.PRODUCER,
        trace.SpanKind.CONSUMER,
        trace.SpanKind.CLIENT,
    )


def test_attempts_at_jobs_that_came_together_are_traces_of_their_own_that_link_to_their_submit(
    exporter: InMemorySpanExporter, client: SwapClient, run_all: Callable[..., None]
) -> None:
    list(client.submit_many(make_request() for _ in range(3)))
    run_all()
    (submit,) = named(exporter, "submit")
    attempts = named(exporter, "attempt")
    assert len({context_of(attempt).trace_id for attempt in [*attempts, submit]}) == 4
    assert [attempt.parent for attempt in attempts] == [None] * 3
    assert [link.context.span_id for attempt in attempts for link in attempt.links] == [context_of(submit).span_id] * 3


def test_what_fails_inside_a_span_leaves_its_kind_there_and_no_text(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), tracing.span("submit", "producer"):
        raise ValueError("https://a.example/?X-Amz-Signature=secret")
    (submit,) = named(exporter, "submit")
    assert (submit.status.status_code, submit.status.description) == (trace.StatusCode.ERROR, "ValueError")
    assert "secret" not in submit.to_json()


@pytest.mark.parametrize("wanted", [True, False])
def test_the_vendor_is_sent_the_trace_only_where_a_setting_says_so(
    vendor_site: WebServer, client: SwapClient, run_all: Callable[..., None], *, wanted: bool
) -> None:
    with tracing.coming_from(tracing.JobOrigin(TRACEPARENT)):
        client.submit(make_request())
    run_all(tell_vendor=wanted)
    (request,) = vendor_site.requests
    assert request.headers.get("traceparent") == (TRACEPARENT if wanted else None)


@pytest.mark.parametrize(
    "text",
    ["", "00", TRACEPARENT + "-00", TRACEPARENT.upper(), TRACEPARENT.replace("b7ad6b7169203331", "0" * 16), None, 7],
)
def test_what_is_no_traceparent_is_left_alone(text: object) -> None:
    assert tracing.parse_traceparent(text) == ""
