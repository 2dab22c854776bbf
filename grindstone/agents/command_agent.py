"""The `command` profile: an agent's own program in the sandbox, its model behind our proxy."""

import asyncio
import contextlib
import shlex

from grindstone.agents.agent_file import FOLDER, HOME, AgentFile, at_home
from grindstone.agents.protocol import Brief
from grindstone.agents.recorder import OnStep, Recorder
from grindstone.agents.sandbox_skills import PLACES
from grindstone.agents.traffic import record_traffic
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.llm.client import JournaledModel
from grindstone.llm.messages import Model
from grindstone.proxy import CallLimits, Session, open_session
from grindstone.records import Role, StepKind, StopReason, Trajectory
from grindstone.sandbox.protocol import ExecResult, Sandbox

PORT = 4141
"""Where the model is, inside."""

BASE_URL = f"http://127.0.0.1:{PORT}"

GRACE_S = 15.0
"""For a program to end by itself once its model answers no more."""

LOG_BYTES = 400_000
TAIL = 1_500
SETUP_S = 60.0

_INSTRUCTION, _SYSTEM, _PROMPT, _PID = "instruction.md", "system.md", "prompt.md", "pid"


class CommandSolver:
    """Runs an agent's program once; what it did is read off its model calls.

    Args:
        agent: How it is called.
        on_step: Told of every step, once the program has ended.
        role: What it is at work as, for the records of its calls.
    """

    def __init__(
        self,
        *,
        agent: AgentFile | None = None,
        on_step: OnStep | None = None,
        role: Role = Role.SOLVER,
    ) -> None:
        if agent is None:
            raise InputError("agent", "is empty", "--agent NAME|FILE or --agent-command LINE")
        self._agent = agent
        self._on_step = on_step
        self._role = role

    async def solve(self, brief: Brief, sandbox: Sandbox, model: Model | None) -> Trajectory:
        """Try the task once.

        Raises:
            InfrastructureError: The sandbox's or the service's; AGENT_BROKEN, when the program
                ended with an error before it had asked its model anything.
            BudgetExceededError: A ceiling of the run was reached.
            InputError: The model is none that a program of others can be given.
        """
        if not isinstance(model, JournaledModel):
            raise InputError("agent", "has no model to ask", "a model of this run")
        limits = CallLimits(
            max_calls=self._agent.max_calls or brief.effort.max_steps,
            max_tokens=brief.effort.max_tokens,
        )
        door = await sandbox.listen(PORT)
        async with open_session(
            model,
            door,
            scope=brief.episode_id,
            task_id=brief.task_id,
            limits=limits,
            role=self._role,
        ) as session:
            await self._prepare(brief, sandbox, session)
            run = await self._run(brief, sandbox, session)
        return self._ended(brief, session, run)

    async def _prepare(self, brief: Brief, sandbox: Sandbox, session: Session) -> None:
        texts = {
            _INSTRUCTION: brief.instruction,
            _SYSTEM: brief.system_prompt,
            # It may be put behind other words: a line of its own all the same.
            _PROMPT: f"\n{brief.system_prompt}\n<task>\n{brief.instruction.strip()}\n</task>\n",
        }
        files = {f"{FOLDER}/{name}": text.encode() for name, text in texts.items()}
        for path, text in self._agent.files.items():
            place = self._filled(at_home(path), sandbox, session)
            files[place] = self._filled(text, sandbox, session).encode()
        await sandbox.write_files(files)
        place = self._filled(at_home(self._agent.skills), sandbox, session)
        if place and place not in PLACES:
            there = shlex.quote(place)
            await sandbox.exec(
                f"mkdir -p {there} && cp -a {PLACES[0]}/. {there}/ 2>/dev/null; true",
                timeout_s=SETUP_S,
            )

    def _filled(self, text: str, sandbox: Sandbox, session: Session) -> str:
        values = {
            "{model}": session.model,
            "{base_url}": BASE_URL,
            "{token}": session.token,
            "{instruction_file}": f"{FOLDER}/{_INSTRUCTION}",
            "{system_file}": f"{FOLDER}/{_SYSTEM}",
            "{prompt_file}": f"{FOLDER}/{_PROMPT}",
            "{workdir}": sandbox.workdir,
        }
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    async def _run(self, brief: Brief, sandbox: Sandbox, session: Session) -> ExecResult | None:
        """Run the program to its end; None where it had to be ended, its model being gone."""
        command = self._filled(self._agent.command, sandbox, session)
        env = {
            name: self._filled(value, sandbox, session) for name, value in self._agent.env.items()
        }
        # In a process group of its own, so that it can be ended whole.
        line = f"set -m\n{{ {command}\n}} < /dev/null &\necho $! > {FOLDER}/{_PID}\nwait $!"
        working = asyncio.create_task(
            sandbox.exec(
                line,
                timeout_s=brief.effort.time_limit_s,
                env={"HOME": HOME, **env},
                max_output_bytes=LOG_BYTES,
            )
        )
        over = asyncio.create_task(session.over.wait())
        try:
            await asyncio.wait({working, over}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await asyncio.wait({working}, timeout=GRACE_S)
            if not working.done():
                await sandbox.exec(
                    f"kill -KILL -- -$(cat {FOLDER}/{_PID}); true", timeout_s=SETUP_S
                )
                await asyncio.wait({working}, timeout=GRACE_S)
            return working.result() if working.done() else None
        finally:
            over.cancel()
            if not working.done():
                working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working

    def _ended(self, brief: Brief, session: Session, run: ExecResult | None) -> Trajectory:
        if session.failure is not None:
            raise session.failure
        words = (run.output[-TAIL:].strip() if run is not None else "") or "it said nothing"
        broke = run is not None and run.exit_code != 0 and not run.timed_out
        if run is not None and broke and not session.exchanges:
            raise InfrastructureError(
                Cause.AGENT_BROKEN, f"{self._agent.name}: exit code {run.exit_code}: {words}"
            )
        record = Recorder(self._on_step)
        if session.opening is not None:
            record.add(StepKind.SYSTEM, session.opening.system)
        record.add(StepKind.USER, brief.instruction)
        last = record_traffic(record, session, self._agent.tools)
        if session.limit is not None:
            return record.finish(session.limit, last)
        if run is not None and run.timed_out:
            return record.finish(StopReason.TIME_LIMIT, last)
        if run is not None and broke:
            told = f"[{self._agent.name} ended with exit code {run.exit_code}; it said last:]"
            return record.finish(StopReason.PROGRAM_FAILED, f"{last}\n\n{told}\n{words}".strip())
        if not session.exchanges:
            last = f"[{self._agent.name} asked its model nothing; it said last:]\n{words}"
        return record.finish(StopReason.SUBMITTED, last)
