"""Sending spans from a thread, so that a collector that is slow or gone costs the run nothing.

What cannot be sent is dropped, and that is told. OpenTelemetry is imported in that thread, when the
first spans are there.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from grindstone.extras import has_extra, remedy
from grindstone.telemetry.spans import SpanRecord
from grindstone.telemetry.switch import Switch

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

FLUSH_S = 2.0
"""How long a run's end waits for what is still to be sent, where sending has worked so far."""
WAITING = 256
"""Most lots that wait to be sent; what comes beyond is dropped."""
LOT = 256
"""Most spans that are sent together."""

MakeSpans = Callable[[], Sequence[SpanRecord]]


class Outlet:
    """Where a process of a run puts spans."""

    def __init__(self, switch: Switch, trace_id: int, tell: Callable[[str], object]) -> None:
        """Prepare to send; nothing is imported or contacted yet.

        Args:
            switch: Where to.
            trace_id: Of all spans.
            tell: Told a sentence, once, when spans are lost.
        """
        self.content = switch.content
        self._switch, self._trace_id, self._tell = switch, trace_id, tell
        self._lots: queue.Queue[MakeSpans] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._reason = switch.problem
        if not self._reason and not has_extra("otel"):
            self._reason = f"OpenTelemetry is not installed: {remedy('otel')}"

    def put(self, make: MakeSpans) -> None:
        """Have spans made and sent, some time; returns at once and never raises."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._send_on, name="telemetry", daemon=True)
            self._thread.start()
        try:
            self._lots.put_nowait(make)
        except queue.Full:
            self._lose("the collector is too slow")

    def close(self) -> None:
        """Wait a little for what is still to be sent; tell of what was lost."""
        if self._thread is None:
            return
        ends = time.monotonic() + FLUSH_S
        while not self._reason and self._lots.unfinished_tasks and time.monotonic() < ends:
            time.sleep(0.02)
        if self._lots.unfinished_tasks:
            self._reason = self._reason or "the collector is too slow"
        if self._reason:
            self._tell(f"Telemetry: spans were lost, {self._switch.endpoint}: {self._reason}")

    def _send_on(self) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it is told once, by us
        exporter: Any = None
        while True:
            make = self._lots.get()
            try:
                if exporter is None and not self._reason:
                    exporter = _exporter()
                if exporter is not None:
                    self._send(exporter, list(make()))
            except Exception as error:  # noqa: BLE001 - nothing here may cost the run anything
                self._lose(f"{type(error).__name__}: {error}")
            finally:
                self._lots.task_done()

    def _send(self, exporter: Any, records: list[SpanRecord]) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        from grindstone.telemetry.otlp import readable

        for start in range(0, len(records), LOT):
            lot = records[start : start + LOT]
            spans: list[ReadableSpan] = [
                readable(each, self._trace_id, self._switch.value_chars) for each in lot
            ]
            if exporter.export(spans) is not SpanExportResult.SUCCESS:
                self._lose("the collector did not take them")

    def _lose(self, reason: str) -> None:
        self._reason = self._reason or reason


def _exporter() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()  # it reads the standard variables itself
