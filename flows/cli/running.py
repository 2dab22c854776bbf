"""Running a flow from the command line: a server to tell it to, progress to watch."""

import importlib
import logging
import os
import sys
from copy import copy
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import typer

from grindstone.collecting import loading
from grindstone.errors import InputError, RefusedError
from grindstone.flows.cli.ending import ending_of
from grindstone.flows.cli.output import say
from grindstone.flows.cli.stopping import Stopped, how_to_go_on, stopping
from grindstone.flows.serving.server import require_up, server_for
from grindstone.preflight import preflight
from grindstone.room import require_room
from grindstone.settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from prefect import Flow

    from grindstone.runs.progress import Progress, Watcher

T = TypeVar("T")

SOON = ("fastapi.encoders", "git", "prefect.flow_engine", "prefect.task_engine")
"""What Prefect and the workspace load when a run begins, and the flow's module does not: a server
of the run's own leaves the time for it as it starts."""

if TYPE_CHECKING:
    FlowOf: TypeAlias = Flow[..., Coroutine[Any, Any, T]]
    """An async flow, by what it returns."""


def run_flow(
    load: "Callable[[], FlowOf[T]]",
    settings: RunSettings,
    *,
    kind: str,
    estimate: bool = False,
    as_json: bool = False,
    verbose: bool = False,
    **more: Any,
) -> T:
    """Run an async flow to its end in this process and return what it returned.

    What can be known to fail is looked for first, which takes no server. Prefect is imported
    after that: what it reads from the environment at import, the server's address above all,
    must be there first.

    Args:
        load: Imports the flow and returns it.
        settings: What it runs with.
        kind: The flow's name.
        estimate: Say what it would cost, and end the command.
        as_json: How the estimate is printed.
        verbose: Whether Prefect's log is shown.
        more: What else the flow takes.

    Raises:
        typer.Exit: It was called off: 130 after Ctrl-C, 143 after SIGTERM.
    """
    from grindstone.flows.cli import consent

    environ = consent.with_a_key(os.environ) if estimate else os.environ
    preflight(kind, settings, environ)
    if estimate:
        consent.estimate(
            settings,
            environ,
            lambda played: _run(load, played, verbose=verbose, kept=False, **more),
            as_json=as_json,
        )
        raise typer.Exit
    for field in ("dispatch", "train"):
        if getattr(settings, field, None) == "deployment":
            require_up(settings.home.root, field)
    settings = consent.agreed(kind, settings, os.environ)
    return _run(load, settings, verbose=verbose, **more)


def _run(
    load: "Callable[[], FlowOf[T]]",
    settings: RunSettings,
    *,
    verbose: bool,
    kept: bool = True,
    **more: Any,
) -> T:
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO" if verbose else "ERROR")
    if not verbose:
        # The command's last line says what went wrong. Prefect would print it too, with a
        # traceback per layer; it keeps them with the run.
        for handler in ("CONSOLE", "DEBUG"):
            os.environ.setdefault(f"PREFECT_LOGGING_HANDLERS_{handler}_LEVEL", "CRITICAL")
        logging.raiseExceptions = False
        # Who looks at the run in Prefect's UI reads there what the terminal says.
        os.environ.setdefault("PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL", "INFO")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    shared = bool(os.environ.get("PREFECT_API_URL"))  # else the server is on this machine
    begun: list[str] = []  # the keys of the runs

    def begun_loading() -> None:
        with loading():
            load()
            for module in SOON:
                importlib.import_module(module)

    try:
        with stopping() as stop, server_for(settings.home.root, meanwhile=begun_loading) as api_url:
            say(f"Prefect: {api_url.removesuffix('/api')}")
            with loading():
                flow = load()
            return stop.run(lambda: _watched(flow, settings, more, api_url, begun, shared=shared))
    except Stopped as error:
        say(f"Stopped. Go on: {how_to_go_on(begun[0])}" if begun and kept else "Stopped.")
        raise typer.Exit(error.exit_code) from None
    except (InputError, RefusedError):
        raise
    except Exception:
        if begun and kept:
            say(f"Go on: {how_to_go_on(begun[0])}")
        _tell_want_of_room(settings.home.root)
        raise


def _tell_want_of_room(home: "Path") -> None:
    """Say so where a home's disk is full: a server or a step that failed does not know why."""
    try:
        require_room(home)
    except OSError as error:
        for sentence in ending_of(error).sentences:
            say(sentence)


async def _watched(
    flow: "FlowOf[T]",
    settings: RunSettings,
    more: dict[str, Any],
    api_url: str,
    begun: list[str],
    *,
    shared: bool,
) -> T:
    from prefect import tags
    from prefect.logging.handlers import APILogHandler
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_SSL_CERT_FILE,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        get_current_settings,
        temporary_settings,
    )

    from grindstone.flows.cli.heart import Heart
    from grindstone.flows.cli.lost_server import noticing
    from grindstone.flows.cli.progress import watcher
    from grindstone.flows.serving.liveness import note_process
    from grindstone.runs.progress import watching
    from grindstone.tasks.flow_runs import run_tag
    from grindstone.tasks.server_loss import telling_server_loss

    noted = copy(flow)  # `with_options` would make the schema of its parameters once more
    heart = Heart(get_current_settings().flows.heartbeat_frequency if shared else None)
    noted.on_running_hooks = [*flow.on_running_hooks, note_process, heart.begin]
    # Prefect may have been imported before it was known which server the run is told to.
    server = (PREFECT_API_URL, PREFECT_API_AUTH_STRING, PREFECT_API_SSL_CERT_FILE)
    known = {each: os.environ[each.name] for each in server if os.environ.get(each.name)}
    # Prefect's heartbeats cost a second at every flow's end, ours nothing.
    with (
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, **known}),
        # As it is made: whoever goes on finds it, though it was killed before it began.
        tags(*([run_tag(settings.run_key)] if settings.run_key else [])),
        watcher(sys.stderr) as watch,
        watching(_noting(watch, begun)),
    ):
        async with noticing(api_url):
            try:
                with telling_server_loss():
                    result: T = await noted(settings, **more)
            finally:  # a server of its own ends before the process does
                heart.end()
                await APILogHandler.aflush()
    return result


def _noting(watch: "Watcher", begun: list[str]) -> "Watcher":
    """Tell a watcher, and note the keys of runs that begin."""
    from grindstone.runs.progress import RunBegan, RunNamed

    def note(event: "Progress") -> None:
        if isinstance(event, (RunNamed, RunBegan)) and event.run_key not in begun:
            begun.append(event.run_key)
        watch(event)

    return note
