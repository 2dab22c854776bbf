"""`SkillBenchAgent`: one agent, one task at a time, without a flow around it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from pydantic import ValidationError

from grindstone.agents.agent_file import AgentFile
from grindstone.agents.harbor import (
    HarborOptions,
    HarborTrial,
    harbor_model,
    run_harbor,
)
from grindstone.agents.harbor_limits import (
    USUAL_STEPS,
    USUAL_TOKENS,
    harbors_agent,
    limits_for,
    require_skills_alone,
)
from grindstone.agents.protocol import Solver
from grindstone.agents.skill_use import SkillUse, skill_uses
from grindstone.attempt.run import AttemptResources, attempt, failure_class_of
from grindstone.attempt.spec import AttemptSpec, SolverSettings, agent_of
from grindstone.benchmark import Task, load_task, score_of
from grindstone.digest import digest
from grindstone.errors import InputError
from grindstone.home import RunFolder
from grindstone.llm import CallRecord, open_models
from grindstone.observe.observation import LabelledObservation, observe_labelled
from grindstone.records import Purpose, Trajectory, Verdict, utc_now
from grindstone.resources import bundled
from grindstone.sandbox import open_provider
from grindstone.sandbox.registry import Choice, Kind
from grindstone.settings import FeedbackLevel, Profile, RunSettings, ScoreMode, Selection
from grindstone.skills import SkillLibrary, render
from grindstone.skills.library import load_folder
from grindstone.skills.selection import select_skills
from grindstone.validation import faults
from grindstone.workspace import Snapshot, Workspace, WorkspaceFiles


class Solved(NamedTuple):
    """What came of one task."""

    task_id: str
    passed: bool
    score: float  # in [0, 1], under the agent's score mode
    trajectory: Trajectory
    verdict: Verdict
    skill_uses: tuple[SkillUse, ...]
    cost_usd: float | None  # None: price unknown
    task: Task
    profile: Profile

    def observation(self, level: FeedbackLevel) -> LabelledObservation:
        """Return what an evolver is shown of it, with as much of the verdict as `level` allows.

        Raises:
            InputError: No model made the attempt, so there is nothing to learn from it.
        """
        if not self.profile.aided:
            raise InputError(
                f"attempt at {self.task_id}",
                f"was made by {self.profile}, which asks no model and teaches nothing",
                "an attempt by another profile",
            )
        return observe_labelled(
            self.trajectory,
            self.verdict,
            level=level,
            failure_class=failure_class_of(self.verdict, self.trajectory),
            task_id=self.task_id,
            category=self.task.category,
            instruction=self.task.instruction,
            difficulty=self.task.difficulty,
            title=self.task.title,
            skills_offered=[use.skill for use in self.skill_uses],
            skills_loaded=[use.skill for use in self.skill_uses if use.loaded],
            task_dir=self.task.path,
        )


class SkillBenchAgent:
    """Solves benchmark tasks with the skills of a workspace.

    The agent works with the workspace as it was committed when the agent was made or last
    reloaded; what evolves meanwhile shows after `reload`.

    Args:
        workspace_dir: The agent's workspace; made from the seed when there is none.
        model_id: Solver model; `auto` takes the best with the credentials found.
        region: Cloud region for Bedrock and Vertex.
        max_tokens: Output tokens of one answer.
        execution_mode: `native` runs this package's solvers, `harbor` its command line, whose
            agent is given the skills and the limits; other parts of a workspace are refused.
        native_profile: terminus2, terminus2_legacy, strands, oracle or nop; terminus2 unless one
            of the next three is given.
        agent: An agent's own program, by a bundled one's name or by its file; with Harbor, its
            name of any of its own.
        agent_command: The same as one shell line.
        solver: A solver of your own: what makes it, or `module:factory`, or an entry point's name.
        score_mode: reward, binary or dual.
        skill_select_limit: 0: all skills; N: the N most relevant.
        selection: How relevance is measured.
        sandbox: Where tasks run.
        max_steps: Steps of one attempt.
        timeout_multiplier: Scales every task's timeouts.
        with_skills: False: offers no skill and removes those an image brings.
        seed_workspace: What a new workspace is copied from; the bundled one by default.
        run_key: The same key again replays what was paid for; a new one by default.
        runs_dir: Where journals and Harbor's jobs are kept; `runs` beside the workspace.
    """

    def __init__(
        self,
        workspace_dir: Path | str,
        model_id: str = "auto",
        region: str | None = None,
        max_tokens: int = USUAL_TOKENS,
        execution_mode: Literal["native", "harbor"] = "native",
        native_profile: Profile | str | None = None,
        score_mode: ScoreMode | str = ScoreMode.DUAL,
        skill_select_limit: int = 0,
        *,
        agent: str | None = None,
        agent_command: str | None = None,
        solver: Callable[..., Solver] | str | None = None,
        selection: Selection | str = Selection.KEYWORD,
        sandbox: Choice = "auto",
        max_steps: int = USUAL_STEPS,
        timeout_multiplier: float = 1.0,
        with_skills: bool = True,
        seed_workspace: Path | str | None = None,
        run_key: str | None = None,
        runs_dir: Path | str | None = None,
    ) -> None:
        if execution_mode not in ("native", "harbor"):
            raise InputError("execution_mode", f"is {execution_mode!r}", "native or harbor")
        self.model_id = model_id
        self.region = region
        self.max_tokens = max_tokens
        self.execution_mode = execution_mode
        self._agent: AgentFile | None = None
        self._plugin: str | None = None
        self._harbors = ""  # Harbor's name of the agent
        if execution_mode == "harbor":
            given = {"agent_command": agent_command, "solver": solver}
            self._harbors, self.native_profile = harbors_agent(native_profile, agent, given)
        else:
            who = _who(native_profile, agent, agent_command, solver)
            self.native_profile = who.native_profile
            self._agent, self._plugin = agent_of(who), who.solver
        self.score_mode = _choice(ScoreMode, score_mode, "score_mode")
        self.selection = _choice(Selection, selection, "selection")
        self.skill_select_limit = skill_select_limit
        self.sandbox = sandbox
        self.max_steps = max_steps
        self.timeout_multiplier = timeout_multiplier
        self.with_skills = with_skills
        if execution_mode == "harbor" and sandbox not in ("auto", "docker"):
            raise InputError("sandbox", f"is {sandbox!r}, and Harbor has its own", "docker")
        seed = Path(seed_workspace) if seed_workspace else bundled("seed_workspaces/skillbench")
        self.workspace = Workspace.create(Path(workspace_dir), seed, chosen=bool(seed_workspace))
        self.run_key = run_key or f"solve-{utc_now():%Y%m%d-%H%M%S-%f}"
        self._runs = Path(runs_dir) if runs_dir else self.workspace.root.parent / "runs"
        self._snapshot: Snapshot
        self._files: Path
        self.reload()

    def reload(self) -> None:
        """Take the workspace as it is committed now."""
        self._snapshot = self.workspace.snapshot()
        self._files = self.workspace.frozen(self._snapshot.commit)

    async def solve(self, task: Task | Path | str, *, trial: int = 0) -> Solved:
        """Try a task once and grade it.

        Args:
            task: A loaded task, or its folder.
            trial: Tells repeated attempts of the same task apart.

        Raises:
            InfrastructureError: The attempt has no score.
            InputError: The task is broken, or this machine lacks what it needs.
        """
        found = task if isinstance(task, Task) else await asyncio.to_thread(load_task, Path(task))
        if self.execution_mode == "harbor":
            return await self._solve_in_harbor(found, trial)
        return await self._solve(found, trial)

    async def _solve(self, task: Task, trial: int) -> Solved:
        calls: defaultdict[str, list[CallRecord]] = defaultdict(list)
        aided, folder = self.native_profile.aided, RunFolder(self._runs / self.run_key)
        provider = await open_provider(self.sandbox)
        try:
            async with open_models(
                run_key=self.run_key,
                journal_dir=folder.journal,
                on_call=lambda call: calls[call.scope].append(call),
            ) as models:
                model = models.get(self.model_id, self.region) if aided else None
                spec = self._spec(task, trial, model.model_id if model else "", provider.kind)
                command_log = folder.command_log(spec.episode_id)
                done = await attempt(
                    spec,
                    AttemptResources(
                        provider=provider,
                        model=model,
                        workspace=self._files,
                        calls_of=lambda episode: tuple(calls[episode]),
                        command_log=command_log if self.native_profile.remembered else None,
                        mask=models.mask,
                    ),
                )
                command_log.unlink(missing_ok=True)
        finally:
            await provider.close()
        return Solved(
            task_id=task.task_id,
            passed=done.verdict.passed,
            score=score_of(done.verdict, self.score_mode),
            trajectory=done.trajectory,
            verdict=done.verdict,
            skill_uses=done.uses,
            cost_usd=done.episode.cost_usd,
            task=task,
            profile=self.native_profile,
        )

    def _spec(self, task: Task, trial: int, model_id: str, kind: Kind) -> AttemptSpec:
        solver = SolverSettings(
            model_id=model_id,
            region=self.region,
            profile=self.native_profile,
            score_mode=self.score_mode,
            sandbox=kind,
            max_tokens=self.max_tokens,
            max_steps=self.max_steps,
            timeout_multiplier=self.timeout_multiplier,
            skill_select_limit=self.skill_select_limit,
            selection=self.selection,
            agent=self._agent,
            plugin=self._plugin,
            with_skills=self.with_skills,
        )
        return AttemptSpec(
            home=self._runs.parent,
            run_key=self.run_key,
            agent_id=self.workspace.files.manifest.name.lower(),
            purpose=Purpose.GRIND,
            task_id=task.task_id,
            task_dir=task.path,
            task_digest=task.digest,
            workspace_commit=self._snapshot.commit,
            workspace_tree=self._snapshot.tree,
            solver=solver,
            trial=trial,
        )

    async def _solve_in_harbor(self, task: Task, trial: int) -> Solved:
        aided = self.native_profile.aided
        options = HarborOptions(agent=self._harbors, timeout_multiplier=self.timeout_multiplier)
        if aided:
            require_skills_alone(WorkspaceFiles(self._files))
            options = options.model_copy(
                update={"model": harbor_model(self.model_id)}
                | limits_for(self._harbors, self.max_steps, self.max_tokens, self.region)
            )
        library = SkillLibrary(self._files)
        folders: dict[str, Path] = {}
        if aided and self.with_skills:
            folders = library.injected(self._chosen(task, library), task.task_id)
        job = f"{task.task_id}-{digest([task.digest, self._snapshot.tree, trial])[:12]}"
        done: HarborTrial = await run_harbor(
            task,
            options,
            jobs_dir=(self._runs / self.run_key / "harbor").absolute(),
            job_name=job,
            score_mode=self.score_mode,
            skills=tuple(folders[name] for name in sorted(folders)),
        )
        texts = {name: render(load_folder(folder)) for name, folder in folders.items()}
        return Solved(
            task_id=task.task_id,
            passed=done.verdict.passed,
            score=score_of(done.verdict, self.score_mode),
            trajectory=done.trajectory,
            verdict=done.verdict,
            skill_uses=skill_uses(job, done.trajectory, texts),
            cost_usd=done.cost_usd,
            task=task,
            profile=self.native_profile,
        )

    def _chosen(self, task: Task, library: SkillLibrary) -> tuple[str, ...]:
        ranked = select_skills(
            library.skills(),
            task.instruction,
            category=task.category,
            limit=self.skill_select_limit,
            method="semantic" if self.selection is Selection.SEMANTIC else "keyword",
        )
        return tuple(item.name for item in ranked)


def _who(
    native_profile: Profile | str | None,
    agent: str | None,
    agent_command: str | None,
    solver: Callable[..., Solver] | str | None,
) -> RunSettings:
    """Return the settings that say who works, as those of a run do.

    Raises:
        InputError: They do not go together, or name nobody.
    """
    given = {"agent": agent, "agent_command": agent_command, "solver": solver}
    if native_profile is not None:
        given["native_profile"] = _choice(Profile, native_profile, "native_profile")
    try:
        return RunSettings.model_validate(given)
    except ValidationError as error:
        raise InputError.together(
            [
                InputError(".".join(fault.place) or "agent", fault.problem, fault.expected)
                for fault in faults(error)
            ]
        ) from error


_C = TypeVar("_C", bound=StrEnum)


def _choice(kind: type[_C], value: str, where: str) -> _C:
    try:
        return kind(value)
    except ValueError:
        raise InputError(where, f"is {value!r}", ", ".join(kind)) from None
