"""The evolution engine: observations in, one commit of reviewed changes out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeVar

from grindstone.agents.agent_file import AgentFile
from grindstone.evolve.applying import Mutations, apply, mutations, with_versions
from grindstone.evolve.checks import checks_for
from grindstone.evolve.config import EvolveConfig
from grindstone.evolve.copying import shown_files
from grindstone.evolve.gate_conditions import GateConditions
from grindstone.evolve.guard import Answers, guard_of
from grindstone.evolve.observed import ObservationLog, observations_of
from grindstone.evolve.past import (
    command_log_path,
    earlier,
    keep,
    last_refusals,
    recall,
    tellable,
    trailers_of,
)
from grindstone.evolve.permissions import Check, RefusedChange
from grindstone.evolve.prompts import SkillLine, step_prompt
from grindstone.evolve.propose import Proposal, ReviewRules, propose
from grindstone.evolve.rejected import rejected_changes, shown_diffs, told_by
from grindstone.evolve.result import EvolutionResult
from grindstone.evolve.session import EvolverSession
from grindstone.llm.messages import CallSite, Model
from grindstone.observe.observation import render_observations
from grindstone.records import Role
from grindstone.sandbox.protocol import SandboxProvider
from grindstone.settings import SuccessMode
from grindstone.skills.drafts import read_drafts
from grindstone.skills.format import parse_skill
from grindstone.skills.frontmatter import SkillError
from grindstone.sync import run_to_end
from grindstone.workspace.changes import Files, skill_names
from grindstone.workspace.files import WorkspaceFiles
from grindstone.workspace.workspace import Workspace

_T = TypeVar("_T")


class EvolutionEngine:
    """Evolves workspaces with one model, in one provider's sandboxes, under one scope.

    Without a model or a provider, each is opened for the time of one evolution.
    """

    def __init__(
        self,
        config: EvolveConfig | None = None,
        *,
        model: Model | None = None,
        provider: SandboxProvider | None = None,
        labels: dict[str, str] | None = None,
        answers_dir: Path | None = None,
        agent: AgentFile | None = None,
    ) -> None:
        """Keep what every evolution needs.

        Args:
            config: Permissions, evolver model, limits.
            model: The evolver's model; belongs to the caller, who closes it.
            provider: Where it works; belongs to the caller.
            labels: Put on its sandboxes, so that a run's can be found and reaped.
            answers_dir: Where the leak guard keeps what it knows of tasks; by default beside the
                workspace.
            agent: A program of others that evolves in our loop's place.
        """
        self._agent = agent
        self._answers_dir = answers_dir
        self.config = config or EvolveConfig()
        self._model = model
        self._provider = provider
        self._labels = labels or {}

    def evolve(
        self,
        workspace: Workspace | Path | str,
        observation_logs: Sequence[ObservationLog],
        evo_number: int | None = None,
        *,
        step: str = "",
        success_mode: SuccessMode = SuccessMode.OFF,
        refused: Sequence[RefusedChange] = (),
        leaks: Check | None = None,
    ) -> EvolutionResult:
        """Evolve once and wait for it; works with and without a running event loop.

        See `aevolve` for the arguments.
        """
        return run_to_end(
            self.aevolve(
                workspace,
                observation_logs,
                evo_number,
                step=step,
                success_mode=success_mode,
                refused=refused,
                leaks=leaks,
            )
        )

    def step(
        self,
        workspace: Workspace | Path | str,
        observations: Sequence[ObservationLog],
        *,
        step: str = "",
        success_mode: SuccessMode = SuccessMode.OFF,
        leaks: Check | None = None,
    ) -> EvolutionResult:
        """Evolve once, as the next free number, telling the evolver what was refused last."""
        opened = _opened(workspace)
        return self.evolve(
            opened,
            observations,
            step=step,
            success_mode=success_mode,
            refused=last_refusals(opened),
            leaks=leaks,
        )

    async def aevolve(
        self,
        workspace: Workspace | Path | str,
        observation_logs: Sequence[ObservationLog],
        evo_number: int | None = None,
        *,
        step: str = "",
        success_mode: SuccessMode = SuccessMode.OFF,
        refused: Sequence[RefusedChange] = (),
        leaks: Check | None = None,
        conditions: GateConditions | None = None,
    ) -> EvolutionResult:
        """Show observations to the evolver and commit what of its changes may stand.

        The observations are written to the workspace's evolution/ folder first. An error
        leaves the workspace as it was; an evolution without a change is a commit too.

        Args:
            workspace: An open workspace, or its folder.
            observation_logs: The attempts to learn from, all labelled or all unlabelled:
                observations, what `SkillBenchAgent.solve` returns, or observations' fields.
            evo_number: The number of the evolution and its tags; None takes the next free.
            step: `<run_key>/<step>`. A step found in the history is returned as it was.
            success_mode: Drafts are shown under gated_promotion, and under nothing else.
            refused: What the step before refused.
            leaks: Says what a text gives away of the tasks' answers, where `no_direct_answers`
                is set; by default the guard made of the observed tasks. Without labels there
                is none: what the evolver never saw it cannot give away.
            conditions: What the change will be weighed on: one rejected on the same is refused.

        Raises:
            InputError: A log is no observation, teaches nothing, or both kinds are given;
                `no_direct_answers` was asked for by name and a task's folder is not known.
            InfrastructureError: The model or the sandbox failed.
            BudgetExceededError: A ceiling was reached.
            WorkspaceError: The number is taken, or a file was changed by someone else.
        """
        opened = _opened(workspace)
        observations = await observations_of(observation_logs, self.config)
        if step:
            done = await asyncio.to_thread(opened.find_step, step)
            if done is not None:
                return await asyncio.to_thread(recall, opened, done)
        base = await asyncio.to_thread(opened.snapshot)
        number = evo_number if evo_number is not None else opened.next_number()
        frozen = WorkspaceFiles(await asyncio.to_thread(opened.frozen, base.commit))
        before = await asyncio.to_thread(shown_files, frozen)
        history = await asyncio.to_thread(earlier, opened, observations)
        observation = render_observations(observations)
        await asyncio.to_thread(opened.write_observation, observation, observations)
        command_log = command_log_path(opened, step, number) if step else None
        gated = success_mode is SuccessMode.GATED_PROMOTION
        drafts = await asyncio.to_thread(read_drafts, opened.root) if gated else ()
        rejected = await asyncio.to_thread(rejected_changes, opened, conditions)
        prompt = step_prompt(
            number=number,
            scope=self.config & frozen.manifest.evolvable_layers,
            skills=_skill_lines(before),
            history=history,
            current=observations,
            drafts=drafts,
            refused=tellable(refused, observations),
            rejected=shown_diffs(rejected, observations),
        )
        async with self._opened_model(opened, step) as model, self._opened_provider() as provider:
            kept_in = self._answers_dir or opened.root.parent / f".{opened.root.name}-answers"
            answers = Answers(provider, kept_in, self._labels)
            guard = leaks or await guard_of(self.config, observations, answers)
            checks = checks_for(self.config, observations, guard, rejected, before)
            rules = ReviewRules(self.config, frozen.manifest, checks)
            async with EvolverSession(
                model,
                provider,
                site=CallSite(role=Role.EVOLVER, scope=step or f"evolve/{number}", turn=0),
                copy=before,
                observation=observation,
                limits=self.config.limits,
                labels=self._labels,
                command_log=command_log,
                agent=self._agent,
            ) as session:
                evolved = await propose(session, before, prompt, rules)
            changes = with_versions(before, evolved.changes)
            result = _result_of(
                evolved,
                mutations(before, changes),
                number=number,
                step=step,
                skills_before=len(skill_names(before)),
                told=told_by(observations),
                model=model,
            )
        # Beside the history and before the commit: whoever finds the step finds the rest.
        await asyncio.to_thread(keep, opened, result)
        ref = await asyncio.to_thread(
            lambda: apply(
                opened,
                base=base.commit,
                before=before,
                changes=changes,
                number=number,
                message=_message(result),
                step=step,
                trailers=trailers_of(result),
            )
        )
        if command_log is not None:
            await asyncio.to_thread(command_log.unlink, missing_ok=True)
        return result.model_copy(update={"commit": ref.commit, "tag": f"evo-{ref.number}"})

    @contextlib.asynccontextmanager
    async def _opened_model(self, workspace: Workspace, step: str) -> AsyncIterator[Model]:
        if self._model is not None:
            yield self._model
            return
        from grindstone.llm import open_models

        run_key = step.partition("/")[0] or "evolve"
        journal = workspace.root.parent / f".{workspace.root.name}-journal"
        async with open_models(run_key=run_key, journal_dir=journal) as models:
            yield models.get(self.config.evolver_model, self.config.region)

    @contextlib.asynccontextmanager
    async def _opened_provider(self) -> AsyncIterator[SandboxProvider]:
        if self._provider is not None:
            yield self._provider
            return
        from grindstone.sandbox import open_provider

        provider = await open_provider(self.config.sandbox)
        try:
            yield provider
        finally:
            await provider.close()


__all__ = ["AEvolveEngine", "EvolutionEngine", "last_refusals"]

AEvolveEngine = EvolutionEngine
"""The name the documents use."""


def _opened(workspace: Workspace | Path | str) -> Workspace:
    return workspace if isinstance(workspace, Workspace) else Workspace.open(Path(workspace))


def _skill_lines(files: Files) -> list[SkillLine]:
    lines: list[SkillLine] = []
    for name in skill_names(files):
        path = f"skills/{name}/SKILL.md"
        try:
            skill = parse_skill(files[path].content, where=path)
        except SkillError:
            lines.append(SkillLine(name=name, description="(cannot be read)"))
        else:
            lines.append(SkillLine(name=name, description=" ".join(skill.description.split())))
    return lines


def _result_of(
    evolved: Proposal,
    moved: Mutations,
    *,
    number: int,
    step: str,
    skills_before: int,
    told: str,
    model: Model,
) -> EvolutionResult:
    """Return what an evolution came to, before it is committed."""
    return EvolutionResult(
        evo_number=number,
        step=step,
        skills_before=skills_before,
        skills_after=skills_before + len(moved.added) - len(moved.removed),
        skills_added=moved.added,
        skills_changed=moved.changed,
        skills_removed=moved.removed,
        others_changed=moved.others,
        refusals=evolved.refusals,
        told=told,
        usage=evolved.usage,
        model=model.model_id,
        rehearsal=model.rehearsal,
        stop_reason=evolved.trajectory.stop_reason.value,
        tag=f"evo-{number}",
        trajectory=evolved.trajectory,
    )


def _message(result: EvolutionResult) -> str:
    what = result.in_words("add", "change", "remove", "edit") or "no change"
    return f"Evolution {result.evo_number}: {what}"
