"""`grindstone rehearsal`: the offline stand-in for a model, as a server."""

from typing import Annotated

import typer

from grindstone.flows.cli.output import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rehearsal")(rehearsal)


def rehearsal(
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 4499,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the Messages API with a simple scripted agent behind it; no real model is called.

    It can do tasks like the bundled ones, and no others. It speaks OpenAI's two APIs as well.

    Point the SDK at it: ANTHROPIC_BASE_URL=http://127.0.0.1:4499 ANTHROPIC_API_KEY=rehearsal
    """
    from grindstone.errors import InputError
    from grindstone.rehearsal import run

    if not host.strip():  # a socket takes that for all addresses of the machine
        raise InputError("--host", "is empty", "an address, such as 127.0.0.1")
    say(f"Rehearsal server: ANTHROPIC_BASE_URL=http://{host}:{port} (Ctrl-C ends it)")
    run(host, port)
