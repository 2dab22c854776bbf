"""An agent at live work in a process of its own, which a test may hang or kill."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

AT_WORK = """
import asyncio, sys
from datetime import UTC, datetime
from grindstone.graduation import ActionClass, GraduationService, Level, LiveTool, LiveToolbox, Work
from grindstone.graduation.intake.live_actions import LiveActions
from grindstone.graduation.intake.live_work import cut_work
from grindstone.graduation.intake.recording import live_run
from grindstone.graduation.intake.under_way import TakenOverError, under_way
from grindstone.llm.messages import ToolSpec, ToolUse
from grindstone.runs import remote_lock

if len(sys.argv) > 2:
    remote_lock.BEAT_S, remote_lock.LOST_S = map(float, sys.argv[2:])

async def file_form(arguments):
    if arguments["form"] == "T3":
        print("filing", flush=True)
        await asyncio.sleep(600)
    return "filed"

async def main():
    registry = GraduationService(sys.argv[1]).registry
    begun = Work(agent_id="ada", episode_id="task-1", title="File the forms", success=False,
                 started_at=datetime.now(UTC), category="filing", tags=("ontario",))
    run = live_run("ada", begun.started_at)
    actions = LiveActions(registry, episode_id="task-1", run_key=run, agent_id="ada")
    spec = ToolSpec(name="file", description="files", input_schema={"type": "object"})
    tool = LiveTool(spec, ActionClass.CHANGE, file_form)
    box = LiveToolbox("ada", Level.AUTONOMOUS, [tool], actions=actions)
    async with under_way(registry, begun, run) as task:
        try:
            for number, form in enumerate(("T2", "T3")):
                await box.run(ToolUse(id=str(number), name="file", input={"form": form}))
        except asyncio.CancelledError as error:
            print(error, flush=True)
            try:
                task.end(cut_work(begun, box, error))
            except TakenOverError as told:
                print(told, flush=True)

asyncio.run(main())
"""
ELSEWHERE = (
    "unshare",
    "--map-root-user",
    "--uts",
    "sh",
    "-c",
    'hostname elsewhere; exec "$@"',
    "-",
)
"""Before a command: has it run on a machine of another name."""


def cannot_be_elsewhere() -> str:
    """Return why no machine of another name can be had here, empty where it can."""
    tried = subprocess.run([*ELSEWHERE, "true"], capture_output=True, check=False)
    return "namespaces cannot be made here" if tried.returncode else ""


@contextlib.contextmanager
def filing(
    home: str, *lease_s: float, elsewhere: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Have an agent's process file its second form; killed at the end.

    Args:
        home: Where it is at work.
        lease_s: How often its lease is renewed, and how long one is waited for, in a remote home.
        elsewhere: What the environment is on a machine of another name.
    """
    command = [*(ELSEWHERE if elsewhere is not None else ()), sys.executable, "-c", AT_WORK, home]
    with subprocess.Popen(
        [*command, *map(str, lease_s)],
        env={**os.environ, **(elsewhere or {})},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "filing\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
