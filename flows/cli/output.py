"""One JSON document on standard output, or text for people; all else to standard error."""

import json
import sys
from typing import Annotated, Any

import typer
from pydantic import BaseModel

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show what happens inside.")]


def say(text: str) -> None:
    """Tell the person something; never part of a program's result."""
    sys.stderr.write(text.rstrip("\n") + "\n")
    sys.stderr.flush()


def emit(document: BaseModel | Any, *, as_json: bool, text: str) -> None:
    """Print the result: the document as JSON, or its text."""
    if as_json:
        plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
        unicode = sys.stdout.encoding.lower().startswith("utf")
        sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=not unicode) + "\n")
    else:
        sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def finish(ok: bool) -> None:
    """End the command: 0 when the answer is yes, 1 when it is no."""
    if not ok:
        raise typer.Exit(1)
