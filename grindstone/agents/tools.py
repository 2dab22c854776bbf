"""The tools of the `strands` profile.

A call that cannot be understood (unknown tool, missing or mistyped argument) is an error
result that says what was expected. What the sandbox answers to a sound call, a missing
file included, is a result like any other: an agent's mistake is never infrastructure.
"""

import shlex
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from grindstone.agents.limits import KEPT_BYTES, Meter
from grindstone.agents.loop import OUT_OF_TIME, CallResult, malformed, refused
from grindstone.agents.protocol import SkillCard
from grindstone.agents.sandbox_skills import SandboxSkills
from grindstone.llm.messages import ToolSpec, ToolUse
from grindstone.records import ToolOutput
from grindstone.sandbox.protocol import ExecResult, Sandbox
from grindstone.text import shorten


class _Arguments(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Bash(_Arguments):
    """Run a bash command line in the sandbox as root and return its output.

    Every call starts a fresh shell in the task's working directory. A command still running
    at its time limit is ended, and what it printed until then is returned.
    """

    command: str = Field(description="The command line; several lines are allowed.")
    timeout_s: float | None = Field(
        None, gt=0, description="Seconds it may run; the default is generous."
    )


class ReadFile(_Arguments):
    """Return the text of a file in the sandbox."""

    path: str = Field(min_length=1, description="Absolute, or relative to the working directory.")


class WriteFile(_Arguments):
    """Write a file in the sandbox, replacing it; missing folders are made.

    The content is written exactly as given: no newline is added, no escape is interpreted.
    """

    path: str = Field(min_length=1, description="Absolute, or relative to the working directory.")
    content: str = Field(description="The whole content.")


class ListSkills(_Arguments):
    """List the skills available here with their descriptions."""


class LoadSkill(_Arguments):
    """Return a skill's guide in full, and the names of the files that come with it."""

    name: str = Field(min_length=1, description="As `list_skills` or the system prompt names it.")


class Submit(_Arguments):
    """Say that the task is done and verified; nothing can be changed afterwards."""

    message: str = Field("", description="What was done, in one or two sentences.")


_TOOLS: dict[str, type[_Arguments]] = {
    "bash": Bash,
    "read_file": ReadFile,
    "write_file": WriteFile,
    "list_skills": ListSkills,
    "load_skill": LoadSkill,
    "submit": Submit,
}
_ALIASES = {"read_skill": "load_skill"}


class _Answer(NamedTuple):
    content: str
    is_error: bool = False
    run: ExecResult | None = None
    whole: bool = False  # shown without shortening
    submitted: str | None = None


class SandboxTools:
    """Runs the tool calls of one attempt."""

    def __init__(self, sandbox: Sandbox, skills: tuple[SkillCard, ...], meter: Meter) -> None:
        self._sandbox = sandbox
        self._shelf = SandboxSkills(sandbox, skills)
        self._meter = meter
        self.specs = tuple(_spec(name, arguments) for name, arguments in _TOOLS.items())

    async def run(self, use: ToolUse) -> CallResult:
        """Run one call; infrastructure alone raises."""
        kind = _TOOLS.get(_ALIASES.get(use.name, use.name))
        if kind is None:
            return malformed(use, f"There is no tool {use.name!r}; expected {', '.join(_TOOLS)}.")
        try:
            arguments = kind.model_validate(use.input)
        except ValidationError as error:
            return malformed(use, _complaint(use.name, error))
        if self._meter.remaining_s <= 0:
            return refused(use, OUT_OF_TIME)
        answer = await self._handler(arguments)()
        output = ToolOutput(
            call_id=use.id,
            content=answer.content,
            is_error=answer.is_error,
            exit_code=answer.run.exit_code if answer.run else None,
            timed_out=answer.run.timed_out if answer.run else False,
            duration_s=answer.run.duration_s if answer.run else 0.0,
        )
        shown = answer.content if answer.whole else shorten(answer.content)
        return CallResult(output, shown + _trailer(answer.run), submitted=answer.submitted)

    def _handler(self, arguments: _Arguments) -> Callable[[], Awaitable[_Answer]]:
        match arguments:
            case Bash():
                return lambda: self._bash(arguments)
            case ReadFile():
                return lambda: self._read_file(arguments)
            case WriteFile():
                return lambda: self._write_file(arguments)
            case LoadSkill():
                return lambda: self._load_skill(arguments)
            case Submit():
                return lambda: self._submit(arguments)
            case _:
                return self._list_skills

    async def _exec(self, command: str, asked_s: float | None = None) -> ExecResult:
        return await self._sandbox.exec(
            command,
            timeout_s=self._meter.command_timeout_s(asked_s),
            max_output_bytes=KEPT_BYTES,
        )

    async def _bash(self, call: Bash) -> _Answer:
        run = await self._exec(call.command, call.timeout_s)
        return _Answer(run.output, run=run)

    async def _read_file(self, call: ReadFile) -> _Answer:
        # Through a shell: a folder or a missing file is the agent's affair, and a device
        # or pipe ends at the size or the time limit.
        path = shlex.quote(call.path)
        run = await self._exec(f"head -c {KEPT_BYTES} -- {path}")
        return _Answer(run.output, is_error=run.exit_code != 0)

    async def _write_file(self, call: WriteFile) -> _Answer:
        try:
            content = call.content.encode()
        except UnicodeEncodeError as error:
            return _Answer(f"write_file: content: {error.reason}", is_error=True)
        path = shlex.quote(call.path)
        run = await self._sandbox.exec(
            f'mkdir -p -- "$(dirname -- {path})" && cat > {path}',
            timeout_s=self._meter.command_timeout_s(),
            stdin=content,
        )
        if run.exit_code != 0:
            return _Answer(run.output, is_error=True)
        return _Answer(f"Wrote {len(content)} bytes to {call.path}.")

    async def _list_skills(self) -> _Answer:
        cards = await self._shelf.cards(self._meter.command_timeout_s())
        lines = "\n".join(f"- {card.name}: {card.description}" for card in cards)
        return _Answer(lines or "There are no skills here.")

    async def _load_skill(self, call: LoadSkill) -> _Answer:
        body = await self._shelf.load(call.name, self._meter.command_timeout_s())
        if body is None:
            return _Answer(f"There is no skill {call.name!r}; see list_skills.", is_error=True)
        return _Answer(body, whole=True)

    async def _submit(self, call: Submit) -> _Answer:
        return _Answer("Submitted.", submitted=call.message)


def _complaint(tool: str, error: ValidationError) -> str:
    faults = (
        f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)
    )
    return f"{tool}: " + "; ".join(faults)


def _trailer(run: ExecResult | None) -> str:
    if run is None:
        return ""
    if run.timed_out:
        return "\n[ended at its time limit; the output up to then is above]"
    return f"\n[exit code {run.exit_code}]" if run.exit_code else ""


def _spec(name: str, arguments: type[_Arguments]) -> ToolSpec:
    schema: dict[str, JsonValue] = arguments.model_json_schema()
    description = str(schema.pop("description", ""))
    return ToolSpec(name=name, description=description, input_schema=schema)
