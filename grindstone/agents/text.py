"""Shortening what a model is shown, always saying so."""

SHOWN_CHARS = 10_000
"""Most characters of one output that a model is shown; the trajectory keeps more."""

KEPT_BYTES = 262_144
"""Most bytes of one command's output that the trajectory keeps."""


def shorten(text: str, limit: int = SHOWN_CHARS) -> str:
    """Return the text, or its beginning and end around a note on what was left out."""
    if len(text) <= limit:
        return text
    head, tail = limit // 2, limit - limit // 2
    left_out = len(text) - head - tail
    return f"{text[:head]}\n[… {left_out} characters left out …]\n{text[-tail:]}"
