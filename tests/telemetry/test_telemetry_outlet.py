"""Sending spans costs whoever puts them nothing, whatever the collector does."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from support.collector import Collector, attributes

from grindstone.telemetry import outlet
from grindstone.telemetry.outlet import Outlet
from grindstone.telemetry.spans import SpanRecord
from grindstone.telemetry.switch import switch_of

ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
AT = datetime(2026, 3, 1, tzinfo=UTC)


def spans(number: int = 1) -> list[SpanRecord]:
    return [
        SpanRecord(f"s{n}", n + 1, None, AT, AT + timedelta(seconds=1), {"a": n, "empty": ""})
        for n in range(number)
    ]


@pytest.mark.parametrize(
    ("environ", "on"),
    [
        ({}, False),
        (ON, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x/v1/traces"}, True),
        (ON | {"OTEL_SDK_DISABLED": "true"}, False),
        (ON | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ON | {"OTEL_TRACES_EXPORTER": "console,otlp"}, True),
    ],
)
def test_the_standard_variables_switch_it(environ: Mapping[str, str], on: bool):
    assert (switch_of(environ) is not None) == on


def opened(monkeypatch: pytest.MonkeyPatch, url: str, told: list[str], **more: str) -> Outlet:
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **more}.items():
        monkeypatch.setenv(name, value)
    switch = switch_of({"OTEL_EXPORTER_OTLP_ENDPOINT": url, **more})
    assert switch is not None
    return Outlet(switch, 7, told.append)


def test_what_is_put_arrives_whole(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    collector = Collector()
    sender = opened(monkeypatch, collector.url, told)
    sender.put(lambda: spans(outlet.LOT + 3))
    sender.close()
    assert len(collector.spans) == outlet.LOT + 3 and not told
    assert attributes(collector.spans[2]) == {"a": 2}
    collector.close()


def test_a_slow_collector_holds_nobody_up(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    collector = Collector(pause_s=30)
    sender = opened(monkeypatch, collector.url, told)
    began = time.monotonic()
    for _ in range(2 * outlet.WAITING):
        sender.put(spans)
    assert time.monotonic() - began < 1
    sender.close()
    assert time.monotonic() - began < outlet.FLUSH_S + 1
    [sentence] = told
    assert "too slow" in sentence


@pytest.mark.parametrize("status", [400, 401])
def test_a_collector_that_refuses_is_told_of(monkeypatch: pytest.MonkeyPatch, status: int):
    told: list[str] = []
    collector = Collector(status=status)
    sender = opened(monkeypatch, collector.url, told)
    sender.put(spans)
    sender.close()
    [sentence] = told
    assert "did not take them" in sentence
    collector.close()


@pytest.mark.slow
def test_spans_that_cannot_be_made_cost_themselves_alone(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    collector = Collector()
    sender = opened(monkeypatch, collector.url, told)
    sender.put(lambda: spans(int("many")))
    sender.put(spans)
    time.sleep(1)
    sender.close()
    assert [span.name for span in collector.spans] == ["s0"]
    assert "ValueError" in told[0]
    collector.close()


def test_another_protocol_is_told_and_not_spoken(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    collector = Collector()
    sender = opened(monkeypatch, collector.url, told, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    sender.put(spans)
    sender.close()
    assert "not grpc" in told[0] and not collector.requests
    collector.close()
