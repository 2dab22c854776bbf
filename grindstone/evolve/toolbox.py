"""The evolver's one tool: a shell in its copy of the workspace."""

from grindstone.agents.limits import Meter
from grindstone.agents.loop import OUT_OF_TIME, CallResult, malformed, refused
from grindstone.llm.messages import ToolSpec, ToolUse
from grindstone.records import ToolOutput
from grindstone.sandbox.protocol import Sandbox
from grindstone.text import shorten

ROOT = "/workspace"
"""Where the copy lies in the evolver's sandbox."""

_SHOWN_CHARS = 24_000

TOOL = ToolSpec(
    name="workspace_bash",
    description="Run a bash command in /workspace, a copy of the agent's workspace. There is "
    "no network. Returns standard output and error, and the exit status.",
    input_schema={
        "type": "object",
        "properties": {"command": {"type": "string", "description": "The command line."}},
        "required": ["command"],
        "additionalProperties": False,
    },
)


class EvolverTools:
    """Runs the commands of one session.

    Args:
        sandbox: Where the copy lies.
        meter: What the session may still use.
    """

    specs = (TOOL,)

    def __init__(self, sandbox: Sandbox, meter: Meter) -> None:
        self._sandbox = sandbox
        self._meter = meter

    async def run(self, use: ToolUse) -> CallResult:
        """Run one command; the evolver's mistakes go back to it."""
        if use.name != TOOL.name:
            return malformed(use, f"There is no tool {use.name!r}; the only one is {TOOL.name}.")
        command = use.input.get("command")
        if not isinstance(command, str) or not command.strip():
            return malformed(use, "The argument `command` must be a command line.")
        if self._meter.remaining_s <= 0:
            return refused(use, OUT_OF_TIME)
        timeout_s = self._meter.command_timeout_s()
        done = await self._sandbox.exec(
            command, timeout_s=timeout_s, cwd=ROOT, max_output_bytes=4 * _SHOWN_CHARS
        )
        ending = f"ended at its time limit of {timeout_s:.0f} s" if done.timed_out else ""
        ending = ending or f"exit status {done.exit_code}"
        content = f"{shorten(done.output, _SHOWN_CHARS).rstrip()}\n[{ending}]".lstrip()
        output = ToolOutput(
            call_id=use.id,
            content=content,
            exit_code=done.exit_code,
            timed_out=done.timed_out,
            duration_s=done.duration_s,
        )
        return CallResult(output, content)
