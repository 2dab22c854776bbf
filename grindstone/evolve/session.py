"""The evolver at work: an agent with one tool, in a sandbox with a copy and nothing else."""

import asyncio
import os
import tempfile
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from pydantic import Field, PositiveFloat, PositiveInt

from grindstone.agents.agent_file import AgentFile
from grindstone.agents.agent_image import with_agent
from grindstone.agents.command_agent import CommandSolver
from grindstone.agents.conversation import Conversation
from grindstone.agents.limits import Meter
from grindstone.agents.loop import converse
from grindstone.agents.protocol import Brief, Effort
from grindstone.agents.recorder import Recorder
from grindstone.agents.replay import ReplayingSandbox
from grindstone.digest import digest_tree
from grindstone.errors import UncarriableError
from grindstone.evolve.copying import OBSERVATION, write_folder
from grindstone.evolve.toolbox import ROOT, EvolverTools
from grindstone.llm.messages import CallSite, Model, Text
from grindstone.prompts import filled
from grindstone.records import Role, StepKind, StopReason, Usage
from grindstone.sandbox.protocol import BuildSpec, Limits, Sandbox, SandboxProvider, StartSpec
from grindstone.workspace.changes import FileEntry, Files, read_folder

MORE_BYTES = 20_000_000
"""What an evolver may leave beyond what it was given, whose library may be of any size."""


class SessionLimits(Effort):
    """When an evolver's session ends, done or not."""

    max_steps: PositiveInt = 40
    max_tokens: PositiveInt | None = Field(400_000, description="All tokens of the session.")
    command_timeout_s: PositiveFloat = 60.0


class Collected(NamedTuple):
    """What the copy holds now."""

    files: dict[str, FileEntry]
    specials: tuple[str, ...]  # links, sockets, devices, by path relative to the workspace
    uncarriable: str = ""  # why nothing of it could be carried out; then `files` is empty


async def environment(provider: SandboxProvider, agent: AgentFile | None = None) -> str:
    """Return the image evolvers work in, building it when it is not there.

    Args:
        provider: Where.
        agent: The program that works in it, where it is one of others.
    """
    with as_file(files("grindstone.evolve") / "environment") as folder:
        digest = await asyncio.to_thread(digest_tree, folder)
        build = BuildSpec(context_dir=folder, context_digest=digest)
        if agent is not None:
            build = await asyncio.to_thread(with_agent, build, agent)
        return await provider.build(build)


class EvolverSession:
    """One evolver in one sandbox; `talk` may be called again with a further message.

    Use as an asynchronous context manager. What it raises is infrastructure or a budget;
    the evolver's own mistakes go back to it as tool errors. Its commands are remembered in the
    file `command_log`, where one is named, so that a step made again asks the model nothing twice.
    With an `agent` its program works in our loop's place; told something further, it begins anew
    in the copy as it left it.
    """

    def __init__(
        self,
        model: Model,
        provider: SandboxProvider,
        *,
        site: CallSite,
        copy: Files,
        observation: str,
        limits: SessionLimits,
        labels: dict[str, str] | None = None,
        command_log: Path | None = None,
        agent: AgentFile | None = None,
    ) -> None:
        self._agent = agent
        self._told: list[str] = []
        self._used = Usage()  # by the agent's program
        self._model = model
        self._provider = provider
        self._site = site
        self._copy = {**copy, OBSERVATION: FileEntry(observation.encode())}
        self._most_bytes = MORE_BYTES + sum(len(entry.content) for entry in self._copy.values())
        self._limits = limits
        self._labels = labels or {}
        self._command_log = command_log
        self._sandbox: Sandbox | None = None
        self._toolbox: EvolverTools | None = None
        self._meter = Meter(limits)
        self._record = Recorder()
        self._talk: Conversation | None = None
        self.trajectory = self._record.finish(StopReason.SUBMITTED)

    async def __aenter__(self) -> Self:
        image = await environment(self._provider, self._agent)
        self._sandbox = await self._provider.start(
            StartSpec(
                image=image,
                name=f"evolver-{self._site.scope}",
                limits=Limits(memory_mb=1024, pids=128),
                labels=self._labels,
                listens=self._agent is not None,
            )
        )
        try:
            await self._lay()
        except BaseException:
            await self._sandbox.close()
            raise
        at_work = (
            ReplayingSandbox(self._sandbox, self._command_log)
            if self._command_log
            else self._sandbox
        )
        self._meter = Meter(self._limits)  # its clock starts now
        self._toolbox = EvolverTools(at_work, self._meter)
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
    def usage(self) -> Usage:
        """Tokens of the session so far."""
        return self._meter.usage + self._used

    @property
    def exhausted(self) -> bool:
        """Whether a limit ended the session."""
        return self.trajectory.stop_reason is not StopReason.SUBMITTED

    async def talk(self, message: str) -> StopReason:
        """Say something to the evolver and let it work until it ends its turn or a limit does."""
        if self._toolbox is None:
            raise RuntimeError("the session is used outside its `async with`")
        if self._agent is not None:
            return await self._run(self._agent, message)
        self._record.add(StepKind.USER, message)
        if self._talk is None:
            self._talk = Conversation(
                self._model,
                self._meter,
                self._record,
                site=self._site,
                system_prompt=filled("evolve", "evolver"),
                opening=message,
            )
        else:
            self._talk.reply(Text(text=message))
        self.trajectory = await converse(self._talk, self._toolbox, self._meter, self._record)
        return self.trajectory.stop_reason

    async def _run(self, agent: AgentFile, message: str) -> StopReason:
        self._told.append(message)
        brief = Brief(
            episode_id=self._site.scope,
            task_id=self._site.task_id,
            instruction="\n\n".join(self._told),
            system_prompt=filled("evolve", "evolver"),
            effort=self._limits,
        )
        program = CommandSolver(agent=agent, role=Role.EVOLVER)
        self.trajectory = await program.solve(brief, self._box, self._model)
        self._used = self._used + self.trajectory.usage
        return self.trajectory.stop_reason

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
            try:
                await self._box.copy_out(ROOT, target, max_bytes=self._most_bytes)
            except UncarriableError as error:
                return Collected({}, specials, error.detail)
            found = await asyncio.to_thread(read_folder, target)
        found.pop(OBSERVATION, None)
        return Collected(found, specials)

    async def _lay(self) -> None:
        with tempfile.TemporaryDirectory(prefix="grindstone-evolver-") as folder:
            await asyncio.to_thread(write_folder, self._copy, Path(folder))
            await self._box.copy_in(Path(folder), ROOT)

    async def start_over(self) -> None:
        """Make the copy what it was at first, whatever is in it."""
        await self._box.exec(
            f"mkdir -p {ROOT}; find {ROOT} -mindepth 1 -delete",
            timeout_s=self._limits.command_timeout_s,
        )
        await self._lay()

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
