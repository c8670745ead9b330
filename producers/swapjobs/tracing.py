"""Traces: where a job comes from, in W3C Trace Context (https://www.w3.org/TR/trace-context/), and spans of its way.

Spans are made where the process has an OpenTelemetry SDK; without one nothing is imported, and what a caller sent as
`traceparent` is passed on all the same: to the job's record, the log, and the webhook.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

Kind = Literal["producer", "consumer", "client"]

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SCOPE: Final = "swapjobs"


@dataclass(frozen=True, slots=True)
class JobOrigin:
    """Where a job comes from.

    Attributes:
        traceparent: The span in which it was submitted, or that the submitter was told of; empty: none.
        request_id: What the submitter's HTTP request was called, where the submitter gave it a name.
        is_linked: It is one of many that were submitted together: its spans are no children of that one span, for the
            trace would be endless, but link to it.
    """

    traceparent: str = ""
    request_id: str = ""
    is_linked: bool = False


NOWHERE: Final = JobOrigin()

_origin: ContextVar[JobOrigin] = ContextVar("swapjobs_origin", default=NOWHERE)


def parse_traceparent(text: object) -> str:
    """Return a header's value where it is one, else an empty text: the specification asks to go on without."""
    return text if isinstance(text, str) and _TRACEPARENT.fullmatch(text) else ""


def trace_id_of(origin: JobOrigin) -> str | None:
    """Return the id of the trace; None without one."""
    return origin.traceparent[3:35] or None


def current() -> JobOrigin:
    """Return what is submitted here and now comes from: the current span, or what `coming_from` said."""
    origin, trace = _origin.get(), _sdk()
    if trace is not None:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            header = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
            return replace(origin, traceparent=header)
    return origin


def coming_from(origin: JobOrigin) -> AbstractContextManager[None]:
    """Let what is done inside come from there, unless a span inside says more."""
    return _ComingFrom(origin)


class _ComingFrom:
    __slots__ = ("_from", "_token")  # a generator would take five times as much of every open stream

    def __init__(self, origin: JobOrigin) -> None:
        self._from = origin

    def __enter__(self) -> None:
        self._token = _origin.set(self._from)

    def __exit__(self, *_: object) -> None:
        _origin.reset(self._token)


class Span:
    """A span, or nothing where nobody wants to know."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def note(self, **attributes: str | float | None) -> None:
        """Add facts, named as the log names them; None: it is not known."""
        if self._span is not None:
            self._span.set_attributes(_named(attributes))

    def fail(self, why: str) -> None:
        """Say that what it stands for did not succeed."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 - there is an SDK

            self._span.set_status(StatusCode.ERROR, why)


_OFF: Final = nullcontext(Span())


def span(
    name: str, kind: Kind, *, origin: JobOrigin | None = None, **attributes: str | float | None
) -> AbstractContextManager[Span]:
    """Make a span for what is done inside: of the current one, or of the submit that `origin` names."""
    trace = _sdk()
    if trace is not None:
        return _recorded(trace, name, kind, origin, attributes)
    return _OFF if origin is None or origin == NOWHERE else _passed_on(origin)


def name_request(name: str, route: str) -> None:
    """Name the current span, of a request that FastAPI's routers do not see, as they would."""
    trace = _sdk()
    if trace is not None:
        current_span = trace.get_current_span()
        current_span.update_name(name)
        current_span.set_attribute("http.route", route)


@contextmanager
def _passed_on(origin: JobOrigin) -> Iterator[Span]:
    with coming_from(origin):
        yield Span()


@contextmanager
def _recorded(
    trace: Any, name: str, kind: Kind, origin: JobOrigin | None, attributes: Mapping[str, str | float | None]
) -> Iterator[Span]:
    made = trace.get_tracer(_SCOPE).start_as_current_span(
        name,
        kind=trace.SpanKind[kind.upper()],
        attributes=_named(attributes),
        record_exception=False,  # its text may hold a URL
        set_status_on_exception=False,
        **(_ancestry(trace, origin) if origin is not None else {}),
    )
    with coming_from(origin or current()), made as under_way:
        result = Span(under_way)
        try:
            yield result
        except Exception as error:
            result.fail(type(error).__name__)
            raise


def _ancestry(trace: Any, origin: JobOrigin) -> dict[str, Any]:
    """Return what makes a span the child of a job's submit, or a trace of its own that links to it."""
    from opentelemetry.context import Context  # noqa: PLC0415 - there is an SDK
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - as above

    submitted = TraceContextTextMapPropagator().extract({"traceparent": origin.traceparent}, context=Context())
    context = trace.get_current_span(submitted).get_span_context()
    if origin.is_linked and context.is_valid:
        return {"context": Context(), "links": [trace.Link(context)]}
    return {"context": submitted}


def _named(attributes: Mapping[str, str | float | None]) -> dict[str, str | float]:
    return {f"swapjobs.{name}": value for name, value in attributes.items() if value is not None}


def _sdk() -> Any:
    """Return OpenTelemetry's module `trace`, where this process has an SDK that wants spans."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    return trace
