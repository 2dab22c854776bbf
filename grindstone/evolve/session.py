"""The evolver at work: an agent with one tool, in a sandbox with a copy and nothing else."""

import asyncio
import os
import tempfile
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

from pydantic import PositiveFloat, PositiveInt

from grindstone.agents.remembered import RememberedSandbox
from grindstone.base import Frozen
from grindstone.digest import digest_tree
from grindstone.evolve.copying import OBSERVATION, write_folder
from grindstone.evolve.templates import template
from grindstone.llm.messages import (
    Block,
    CallSite,
    Message,
    Model,
    Request,
    Response,
    Text,
    ToolResult,
    ToolSpec,
    ToolUse,
)
from grindstone.records import (
    Step,
    StepKind,
    StopReason,
    ToolCall,
    ToolOutput,
    Trajectory,
    Usage,
    utc_now,
)
from grindstone.sandbox.protocol import BuildSpec, Limits, Provider, Sandbox, StartSpec
from grindstone.workspace.changes import Entry, Files, read_folder

ROOT = "/workspace"
_SHOWN_CHARS = 24_000
_COPY_BYTES = 20_000_000

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


class SessionLimits(Frozen):
    """When an evolver's session ends, done or not."""

    max_steps: PositiveInt = 40
    time_limit_s: PositiveFloat = 900.0
    max_tokens: PositiveInt = 400_000
    max_output_tokens: PositiveInt = 8192
    command_timeout_s: PositiveFloat = 60.0


class Collected(NamedTuple):
    """What the copy holds now."""

    files: dict[str, Entry]
    specials: tuple[str, ...]  # links, sockets, devices, by path relative to the workspace


async def environment(provider: Provider) -> str:
    """Return the image evolvers work in, building it when it is not there."""
    with as_file(files("grindstone.evolve") / "environment") as folder:
        digest = await asyncio.to_thread(digest_tree, folder)
        return await provider.build(BuildSpec(context_dir=folder, context_digest=digest))


class EvolverSession:
    """One evolver in one sandbox; `talk` may be called again with a further message.

    Use as an asynchronous context manager. What it raises is infrastructure or a budget;
    the evolver's own mistakes go back to it as tool errors.
    """

    def __init__(
        self,
        model: Model,
        provider: Provider,
        *,
        site: CallSite,
        copy: Files,
        observation: str,
        limits: SessionLimits,
        labels: dict[str, str] | None = None,
        memory: Path | None = None,
    ) -> None:
        self._model = model
        self._provider = provider
        self._site = site
        self._copy = {**copy, OBSERVATION: Entry(observation.encode())}
        self._limits = limits
        self._labels = labels or {}
        self._memory = memory
        self._sandbox: Sandbox | None = None
        self._at_work: Sandbox | None = None  # the same, as the evolver's commands see it
        self._messages: list[Message] = []
        self._pending: list[Block] = []  # the next user message, so that two never follow
        self._steps: list[Step] = []
        self._turns = 0
        self._started = monotonic()
        self._stop_reason = StopReason.SUBMITTED
        self.usage = Usage()

    async def __aenter__(self) -> Self:
        image = await environment(self._provider)
        self._sandbox = await self._provider.start(
            StartSpec(
                image=image,
                name=f"evolver-{self._site.scope}",
                limits=Limits(memory_mb=1024, pids=128),
                network="none",
                labels=self._labels,
            )
        )
        try:
            with tempfile.TemporaryDirectory(prefix="grindstone-evolver-") as folder:
                await asyncio.to_thread(write_folder, self._copy, Path(folder))
                await self._sandbox.copy_in(Path(folder), ROOT)
        except BaseException:
            await self._sandbox.close()
            raise
        self._at_work = (
            RememberedSandbox(self._sandbox, self._memory) if self._memory else self._sandbox
        )
        self._started = monotonic()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._box.close()

    @property
    def _box(self) -> Sandbox:
        if self._sandbox is None:
            raise RuntimeError("the session is used outside its `async with`")
        return self._sandbox

    @property
    def trajectory(self) -> Trajectory:
        """What the evolver did so far."""
        said = self._steps[-1].message if self._steps else ""
        return Trajectory(steps=tuple(self._steps), stop_reason=self._stop_reason, submission=said)

    @property
    def exhausted(self) -> bool:
        """Whether a limit ended the session."""
        return self._stop_reason is not StopReason.SUBMITTED

    async def talk(self, message: str) -> StopReason:
        """Say something to the evolver and let it work until it ends its turn or a limit does."""
        self._pending.append(Text(text=message))
        self._note(StepKind.USER, message)
        while (limit := self._limit()) is None:
            self._messages.append(Message(role="user", content=tuple(self._pending)))
            self._pending = []
            response = await self._ask()
            content = response.content or (Text(text="(nothing)"),)
            self._messages.append(Message(role="assistant", content=content))
            if response.stop_reason == "refusal":
                self._note(StepKind.AGENT, response.text, usage=response.usage)
                self._stop_reason = StopReason.REFUSED
                return self._stop_reason
            await self._act(response)
            if not self._pending:
                self._stop_reason = StopReason.SUBMITTED
                return self._stop_reason
        self._stop_reason = limit
        return limit

    def _limit(self) -> StopReason | None:
        if self._turns >= self._limits.max_steps:
            return StopReason.STEP_LIMIT
        if monotonic() - self._started >= self._limits.time_limit_s:
            return StopReason.TIME_LIMIT
        if self.usage.total_tokens >= self._limits.max_tokens:
            return StopReason.TOKEN_LIMIT
        return None

    async def _ask(self) -> Response:
        request = Request(
            system=template("evolver"),
            messages=tuple(self._messages),
            tools=(TOOL,),
            max_tokens=self._limits.max_output_tokens,
        )
        site = self._site.model_copy(update={"turn": self._site.turn + self._turns})
        response = await self._model.complete(request, site)
        self._turns += 1
        self.usage = self.usage + response.usage
        return response

    async def _act(self, response: Response) -> None:
        """Run what was asked for; its results become the next user message."""
        cut_off = response.stop_reason == "max_tokens"
        outputs: list[ToolOutput] = []
        for use in response.tool_uses:
            output = await self._run(use, cut_off=cut_off)
            outputs.append(output)
            self._pending.append(
                ToolResult(tool_use_id=use.id, content=output.content, is_error=output.is_error)
            )
        if cut_off and not outputs:
            self._pending.append(Text(text=template("cut_off")))
        calls = tuple(
            ToolCall(call_id=use.id, name=use.name, arguments=use.input)
            for use in response.tool_uses
        )
        self._note(
            StepKind.AGENT, response.text, calls=calls, outputs=outputs, usage=response.usage
        )

    async def _run(self, use: ToolUse, *, cut_off: bool) -> ToolOutput:
        command = use.input.get("command")
        problem = ""
        if use.name != TOOL.name:
            problem = f"There is no tool {use.name!r}; the only one is {TOOL.name}."
        elif cut_off:
            problem = "The call was cut off at the answer's length limit and was not run."
        elif not isinstance(command, str) or not command.strip():
            problem = "The argument `command` must be a command line."
        if problem or not isinstance(command, str):
            return ToolOutput(call_id=use.id, content=problem, is_error=True)
        left = self._limits.time_limit_s - (monotonic() - self._started)
        timeout_s = max(1.0, min(self._limits.command_timeout_s, left))
        done = await (self._at_work or self._box).exec(
            command, timeout_s=timeout_s, cwd=ROOT, max_output_bytes=4 * _SHOWN_CHARS
        )
        shown = _shorten(done.output)
        ending = f"ended at its time limit of {timeout_s:.0f} s" if done.timed_out else ""
        ending = ending or f"exit status {done.exit_code}"
        return ToolOutput(
            call_id=use.id,
            content=f"{shown.rstrip()}\n[{ending}]".lstrip(),
            exit_code=done.exit_code,
            timed_out=done.timed_out,
            duration_s=done.duration_s,
        )

    async def collect(self) -> Collected:
        """Copy the folder out and return its regular files; what is special is only named."""
        listed = await self._box.exec(
            "find . -xdev ! -type f ! -type d -print0 | head -c 20000 | tr '\\0' '\\n'",
            timeout_s=self._limits.command_timeout_s,
            cwd=ROOT,
        )
        specials = tuple(
            sorted(
                line.removeprefix("./")
                for line in listed.output.splitlines()
                if line.startswith("./")
            )
        )
        with tempfile.TemporaryDirectory(prefix="grindstone-evolved-") as folder:
            target = Path(folder) / "copy"
            target.mkdir()
            await self._box.copy_out(ROOT, target, max_bytes=_COPY_BYTES)
            found = await asyncio.to_thread(read_folder, target)
        found.pop(OBSERVATION, None)
        return Collected(found, specials)

    async def restore(self, paths: Iterable[str], before: Files) -> None:
        """Put paths of the copy back to what they were, removing what was not there."""
        wanted = sorted(set(paths))
        if not wanted:
            return
        names = b"\0".join(os.fsencode(path) for path in wanted)
        await self._box.exec(
            "xargs -0 rm -rf --",
            timeout_s=self._limits.command_timeout_s,
            cwd=ROOT,
            stdin=names,
        )
        for executable in (False, True):
            again = {
                f"{ROOT}/{path}": before[path].content
                for path in wanted
                if path in before and before[path].executable is executable
            }
            if again:
                await self._box.write_files(again, mode=0o755 if executable else 0o644)

    def _note(
        self,
        kind: StepKind,
        message: str,
        *,
        calls: tuple[ToolCall, ...] = (),
        outputs: Iterable[ToolOutput] = (),
        usage: Usage | None = None,
    ) -> None:
        self._steps.append(
            Step(
                index=len(self._steps),
                kind=kind,
                message=message,
                calls=calls,
                outputs=tuple(outputs),
                usage=usage,
                at=utc_now(),
            )
        )


def _shorten(text: str) -> str:
    if len(text) <= _SHOWN_CHARS:
        return text
    half = _SHOWN_CHARS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
