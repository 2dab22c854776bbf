"""Whether spans are sent, as OpenTelemetry's own variables say. Nothing of it is imported here."""

from collections.abc import Mapping

from grindstone.base import Frozen

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

_WITH_CONTENT = frozenset({"true", "span_only", "span_and_event"})
_LENGTHS = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
VALUE_CHARS = 32_768
"""Most characters of a text in a span, where those variables name no number."""


class Switch(Frozen):
    """Where spans are sent and what they may hold."""

    endpoint: str
    content: bool = False
    """Whether prompts, answers, arguments and results go with them."""
    value_chars: int = VALUE_CHARS
    problem: str = ""
    """Why nothing can be sent all the same; empty where it can."""


def switch_of(environ: Mapping[str, str]) -> Switch | None:
    """Return where spans are to be sent; None: nowhere."""
    endpoint = environ.get(TRACES_ENDPOINT) or environ.get(ENDPOINT)
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower()
    if not endpoint or off or "otlp" not in exporter.split(","):
        return None
    own = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
    protocol = own or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    problem = "" if protocol == "http/protobuf" else f"spans go by http/protobuf, not {protocol}"
    limit = next((environ[name] for name in _LENGTHS if environ.get(name, "").isdecimal()), "")
    return Switch(
        endpoint=endpoint,
        content=environ.get(CONTENT, "").strip().lower() in _WITH_CONTENT,
        value_chars=int(limit) if limit else VALUE_CHARS,
        problem=problem,
    )
