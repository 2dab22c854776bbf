"""Our spans as OpenTelemetry's SDK has them; imported only where spans are sent."""

import os
from datetime import datetime
from functools import cache

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from grindstone import __version__
from grindstone.telemetry.spans import SpanRecord, Value

_SCOPE = InstrumentationScope("grindstone", __version__)


def readable(record: SpanRecord, trace_id: int, value_chars: int) -> ReadableSpan:
    """Return a span as the SDK's exporters take it.

    Args:
        record: The span.
        trace_id: Its trace.
        value_chars: Longer texts are cut.
    """

    def cut(value: Value) -> Value:
        return value[:value_chars] if isinstance(value, str) else value

    def context(span_id: int) -> SpanContext:
        return SpanContext(trace_id, span_id, False, TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name=record.name,
        context=context(record.span_id),
        parent=None if record.parent_id is None else context(record.parent_id),
        resource=_resource(),
        attributes={
            name: cut(value)
            for name, value in record.attributes.items()
            if value is not None and value != ""
        },
        events=[
            Event(
                event.name,
                {name: cut(value) for name, value in event.attributes.items() if value != ""},
                _ns(event.at),
            )
            for event in record.events
        ],
        kind=SpanKind.CLIENT if record.client else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, record.error) if record.error else Status(),
        start_time=_ns(record.start),
        end_time=_ns(record.end),
        instrumentation_scope=_SCOPE,
    )


@cache
def _resource() -> Resource:
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    own = {} if named else {"service.name": "grindstone"}
    return Resource.create({**own, "service.version": __version__})


def _ns(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
