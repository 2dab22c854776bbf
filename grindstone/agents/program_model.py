"""A program of others in a model's place: a question is put to it, in a sandbox of its own."""

import json
import shlex
from collections.abc import Mapping

from grindstone.agents.agent_file import FOLDER, AgentFile
from grindstone.agents.command_agent import CommandSolver
from grindstone.agents.protocol import Brief, Effort
from grindstone.llm.messages import CallSite, Message, Model, Request, Response, Text
from grindstone.prompts import filled
from grindstone.records import StopReason
from grindstone.sandbox.protocol import Limits, Sandbox, SandboxProvider, StartSpec

ANSWER = f"{FOLDER}/answer"
"""Where it may write what it answers."""

EFFORT = Effort(max_steps=30, time_limit_s=600.0, max_tokens=200_000, command_timeout_s=60.0)
"""For one question."""

LONGEST_ANSWER = 65_536
"""Bytes."""


class ProgramModel:
    """Answers as a model does; its own model's calls are journaled and under the run's ceilings.

    Args:
        agent: The program.
        model: What it asks; a model of the run.
        provider: Where it works.
        image: What in: the program is installed there.
        labels: Of its sandboxes.
    """

    def __init__(
        self,
        agent: AgentFile,
        model: Model,
        provider: SandboxProvider,
        *,
        image: str,
        labels: Mapping[str, str],
    ) -> None:
        self._agent = agent
        self._model = model
        self._provider = provider
        self._image = image
        self._labels = dict(labels)

    @property
    def model_id(self) -> str:
        """The program, and what it asks."""
        return f"{self._agent.label} ({self._model.model_id})"

    @property
    def rehearsal(self) -> bool:
        """Whether the offline rehearsal server answers it."""
        return self._model.rehearsal

    async def complete(self, request: Request, site: CallSite) -> Response:
        """Return what the program wrote into the file for its answer, else its last words.

        Raises:
            InfrastructureError: The sandbox's or the service's; AGENT_BROKEN, when the program
                ended with an error before it had asked its model anything.
            BudgetExceededError: A ceiling of the run was reached.
            InputError: The model is none that a program of others can be given.
        """
        spec = StartSpec(
            image=self._image,
            name=f"{site.role.value}-{site.scope}",
            limits=Limits(memory_mb=1024, pids=128),
            labels=self._labels,
            listens=True,
        )
        sandbox = await self._provider.start(spec)
        try:
            brief = Brief(
                episode_id=site.scope,
                task_id=site.task_id,
                instruction="\n\n".join(map(_told, request.messages)),
                system_prompt=f"{request.system}\n\n{_wanted(request)}",
                effort=EFFORT,
            )
            solver = CommandSolver(agent=self._agent, role=site.role)
            done = await solver.solve(brief, sandbox, self._model)
            written = await _written(sandbox)
        finally:
            await sandbox.close()
        ended = done.stop_reason
        return Response(
            content=(Text(text=written or done.submission),),
            stop_reason="end_turn" if ended is StopReason.SUBMITTED else ended.value,
            usage=done.usage,
            model=self.model_id,
        )


def _told(message: Message) -> str:
    text = "".join(block.text for block in message.content if isinstance(block, Text))
    return text if message.role == "user" else filled("agents", "answered_before", answer=text)


def _wanted(request: Request) -> str:
    schema = json.dumps(request.output_schema) if request.output_schema else ""
    name = "answer_as_json" if schema else "answer_as_text"
    return filled("agents", name, path=ANSWER, **({"schema": schema} if schema else {}))


async def _written(sandbox: Sandbox) -> str:
    place = shlex.quote(ANSWER)
    read = await sandbox.exec(
        f"test ! -f {place} || head -c {LONGEST_ANSWER} {place}",
        timeout_s=EFFORT.command_timeout_s,
        max_output_bytes=LONGEST_ANSWER,
    )
    return read.output.strip() if read.exit_code == 0 else ""
