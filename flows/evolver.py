"""`SkillBenchEvolver`: evolve an agent from Python, cycle by cycle, until it settles.

    result = SkillBenchEvolver(seed_workspace="seed_workspaces/skillbench").run(cycles=10)
    print(result.final_score, result.converged)

A cycle is a grind over all tasks with what the cycles before have taught. `run` is an
ordinary call that works in a script and in a notebook; it finds a Prefect server or
starts one for the time it takes.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, TypeVar

from prefect import flow
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOGGING_LEVEL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from pydantic import Field, PositiveInt, ValidationError

from grindstone.base import Frozen
from grindstone.blocks import BlockNames, configure
from grindstone.errors import InputError
from grindstone.flows.compare import compare
from grindstone.flows.grind import grind
from grindstone.flows.serving.login import VARIABLE
from grindstone.flows.serving.server import server_for
from grindstone.gate import compute_egl, is_converged
from grindstone.ledger import Ledger
from grindstone.ledger.queries import main_attempts
from grindstone.records import Episode
from grindstone.report.comparison import Comparison
from grindstone.report.model import RunReport
from grindstone.runs.plan import new_run_key
from grindstone.settings import CompareSettings, GrindSettings, RunSettings
from grindstone.sync import run_to_end

T = TypeVar("T")

When = Literal["off", "end", "each"]
"""When the agent is compared with itself without skills: never, at the end, in each cycle."""


class LoopCycle(Frozen):
    """One cycle of a loop: a run over all tasks."""

    number: PositiveInt
    report: RunReport
    score: float | None = Field(description="Mean over tasks of the last score; None: no score.")
    new_skills: int
    egl: float | None = Field(description="New skills per thousand tasks solved in the loop.")
    comparison: Comparison | None = None


class EvolverResult(Frozen):
    """What a loop came to."""

    run_key: str
    final_score: float | None = Field(
        description="The last cycle's mean score over tasks, in [0, 1]; None: nothing has one."
    )
    cycles: tuple[LoopCycle, ...]
    converged: bool = Field(description="EGL stayed below the threshold for the whole window.")
    stopped: str = Field("", description="Why it ended before its time, such as a ceiling.")
    folder: Path = Field(description="The last cycle's files: report, plots, journal.")

    @property
    def report(self) -> RunReport:
        """The last cycle's report."""
        return self.cycles[-1].report

    @property
    def egl(self) -> tuple[float | None, ...]:
        """EGL per cycle."""
        return tuple(cycle.egl for cycle in self.cycles)

    @property
    def comparison(self) -> Comparison | None:
        """The last comparison with against without skills, where one was made."""
        return next((c.comparison for c in reversed(self.cycles) if c.comparison), None)


@flow(
    name="evolver",
    flow_run_name="evolver {settings.agent_id} · {cycles} cycles",
    cache_result_in_memory=False,
)
async def evolve_loop(
    settings: GrindSettings = GrindSettings(),
    cycles: PositiveInt = 10,
    compare_with_without: When = "off",
    blocks: BlockNames = BlockNames(),
) -> EvolverResult:
    """Grind over all tasks again and again, with what was learned, until nothing new is.

    Cycle n is a run of its own, `<run_key>-c<n>`, so the same run key again goes on where a
    loop was ended. The loop ends after `cycles`, when EGL has stayed below the threshold
    for the window, or at a ceiling, which holds for the loop as a whole.

    Args:
        settings: Of every cycle's grind; max_cycles 1 makes the next cycle the next try.
        cycles: At most this many.
        compare_with_without: When the agent is compared with itself without skills.
        blocks: Saved blocks laid over the settings.
    """
    settings = await configure(settings, blocks)  # one ceiling for all cycles
    key = settings.run_key or new_run_key("evolver")
    home = settings.home
    spent: list[RunReport] = []
    done: list[LoopCycle] = []
    solved: set[str] = set()
    converged, stopped = False, ""
    for number in range(1, cycles + 1):
        run_key = f"{key}-c{number}"
        once = settings.model_copy(update={"run_key": run_key, "compare": False})
        report = (await grind(_with_what_is_left(once, spent), blocks)).report
        spent.append(report)
        solved.update(line.task_id for line in report.tasks if line.passed)
        new = sum(row.new_skills for row in report.egl)
        done.append(
            LoopCycle(
                number=number,
                report=report,
                score=await asyncio.to_thread(mean_score, Ledger(home), run_key),
                new_skills=new,
                egl=compute_egl(new, len(solved)),
            )
        )
        converged = is_converged(
            [item.egl for item in done],
            threshold=settings.egl_threshold,
            window=settings.egl_window,
        )
        last = converged or number == cycles
        stopped = _stopped(settings, spent)
        if not stopped and (
            last if compare_with_without == "end" else compare_with_without == "each"
        ):
            asked = _comparison_of(_with_what_is_left(once, spent))
            measured = (await compare(asked, blocks)).report
            spent.append(measured)
            done[-1] = done[-1].model_copy(update={"comparison": measured.comparison})
            stopped = _stopped(settings, spent)
        if last or stopped:
            break
    return EvolverResult(
        run_key=key,
        final_score=done[-1].score,
        cycles=tuple(done),
        converged=converged,
        stopped=stopped,
        folder=home.run(done[-1].report.run_key).root,
    )


def _with_what_is_left(settings: GrindSettings, spent: Sequence[RunReport]) -> GrindSettings:
    cost, tokens = settings.max_cost_usd, settings.max_tokens_total
    left = {
        "max_cost_usd": None if cost is None else cost - _cost(spent),
        "max_tokens_total": None if tokens is None else tokens - _tokens(spent),
    }
    return settings.model_copy(update=left)


def _stopped(settings: GrindSettings, spent: Sequence[RunReport]) -> str:
    """Return why a loop cannot go on; empty when it can."""
    if spent[-1].status != "completed":
        return f"run {spent[-1].run_key} reached a ceiling"
    if settings.max_cost_usd is not None and _cost(spent) >= settings.max_cost_usd:
        return f"max_cost_usd {settings.max_cost_usd} is spent"
    if settings.max_tokens_total is not None and _tokens(spent) >= settings.max_tokens_total:
        return f"max_tokens_total {settings.max_tokens_total} is used"
    return ""


def _cost(spent: Sequence[RunReport]) -> float:
    return sum(report.cost_usd or 0.0 for report in spent)


def _tokens(spent: Sequence[RunReport]) -> int:
    return sum(report.total_tokens for report in spent)


def _comparison_of(settings: GrindSettings) -> CompareSettings:
    """Return the comparison of a cycle's tasks with the agent as the cycle left it."""
    shared = settings.model_dump(include=set(RunSettings.model_fields))
    shared["run_key"] = f"{settings.run_key}-compare"
    return CompareSettings(**shared, trials=settings.trials)


def mean_score(ledger: Ledger, run_key: str) -> float | None:
    """Return the mean over a run's tasks of each one's last score; None without any."""
    frame = main_attempts(ledger.scan(Episode, run_key)).collect()
    rows = frame.sort("cycle", "batch", "trial", "started_at").to_dicts()
    scores = {row["task_id"]: row["score"] for row in rows if row["score"] is not None}
    return fmean(scores.values()) if scores else None


class SkillBenchEvolutionLoop:
    """A loop of grinds with convergence detection and a comparison of both arms.

    Args:
        settings: Of every cycle; `run_key` names the loop.
        compare: When to compare the agent with itself without skills.
        trials: Attempts per task and arm of a comparison.
        blocks: Saved blocks laid over the settings.
        verbose: Let Prefect log what it does.
    """

    def __init__(
        self,
        settings: GrindSettings,
        *,
        compare: When = "end",
        trials: int | None = None,
        blocks: BlockNames | None = None,
        verbose: bool = False,
    ) -> None:
        if compare not in ("off", "end", "each"):
            raise InputError("compare", f"is {compare!r}", "off, end or each")
        self.settings = settings.model_copy(update={} if trials is None else {"trials": trials})
        self.compare: When = compare
        self.blocks = blocks or BlockNames()
        self.verbose = verbose

    def run(self, cycles: int = 10) -> EvolverResult:
        """Run up to `cycles` cycles, fewer when the skill library settles before.

        Raises:
            InputError: The settings or tasks cannot be used.
            InfrastructureError: A server, sandbox or model could not be reached.
        """
        return run_to_end(self.arun(cycles))

    async def arun(self, cycles: int = 10) -> EvolverResult:
        """Do as `run`, awaited."""
        if cycles < 1:
            raise InputError("cycles", f"is {cycles}", "1 or more")
        with _prefect_for(self.settings, verbose=self.verbose):
            return await evolve_loop(self.settings, cycles, self.compare, self.blocks)


class SkillBenchEvolver:
    """Wires agent, benchmark and engine together for evolution from Python.

    Args:
        seed_workspace: What a new agent is copied from; the bundled one by default.
        work_dir: Home of everything kept; the agent is below `agents/` in it.
        model_id: Solver model; `auto` takes the best with the credentials found.
        region: Cloud region for Bedrock and Vertex.
        execution_mode: `native`. Harbor solves single tasks through `SkillBenchAgent`.
        native_profile: terminus2, terminus2_legacy or strands; terminus2 unless the settings name
            another's agent: `agent`, `agent_command` or `solver`, which takes a factory too.
        compare: When to compare the agent with itself without skills.
        blocks: Saved blocks laid over the settings.
        verbose: Let Prefect log what it does.
        settings: Any other field of `GrindSettings`, such as `tasks_dir` or `max_workers`.
            `max_cycles` is 1 unless given: the loop's next cycle is the next try.

    Raises:
        InputError: A setting is unknown or out of its range; the message names it.
    """

    def __init__(
        self,
        seed_workspace: Path | str | None = None,
        work_dir: Path | str = "./evolution_workdir",
        model_id: str = "auto",
        region: str | None = None,
        execution_mode: Literal["native"] = "native",
        native_profile: str | None = None,
        *,
        compare: When = "off",
        blocks: BlockNames | None = None,
        verbose: bool = False,
        **settings: Any,
    ) -> None:
        if execution_mode != "native":
            expected = "native; SkillBenchAgent solves a task through Harbor"
            raise InputError("execution_mode", f"is {execution_mode!r}", expected)
        values = {
            "seed_workspace": seed_workspace,
            "work_dir": work_dir,
            "model_id": model_id,
            "region": region,
            "max_cycles": 1,
        }
        if native_profile is not None:
            values["native_profile"] = native_profile
        self.settings = _checked(values | settings)
        self.loop = SkillBenchEvolutionLoop(
            self.settings, compare=compare, blocks=blocks, verbose=verbose
        )

    def run(self, cycles: int = 10) -> EvolverResult:
        """Evolve for up to `cycles` cycles; see `SkillBenchEvolutionLoop.run`."""
        return self.loop.run(cycles)

    async def arun(self, cycles: int = 10) -> EvolverResult:
        """Do as `run`, awaited."""
        return await self.loop.arun(cycles)


def _checked(values: dict[str, Any]) -> GrindSettings:
    try:
        return GrindSettings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # each may be right, and not all of them together
            problem = first["msg"].removeprefix("Value error, ")
            raise InputError("settings", problem, "settings that go together") from error
        name = str(first["loc"][0])
        field = GrindSettings.model_fields.get(name)
        expected = (field.description if field else None) or "a field of GrindSettings"
        raise InputError(
            name, f"{first['msg'].lower()}, got {first['input']!r}", expected
        ) from error


@contextlib.contextmanager
def _prefect_for(settings: RunSettings, *, verbose: bool) -> Iterator[None]:
    """Have flows told to a Prefect server: the one that is set, the home's, or one of our own."""
    home = settings.home
    home.root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        changed: dict[Any, Any] = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        if not PREFECT_API_URL.value():
            url = stack.enter_context(server_for(home.root))
            changed |= {PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: os.environ.get(VARIABLE)}
        if not verbose:
            changed |= {PREFECT_LOGGING_LEVEL: "ERROR", PREFECT_LOGGING_TO_API_ENABLED: False}
            stack.enter_context(_prefect_errors_alone())
        stack.enter_context(temporary_settings(changed))
        yield


@contextlib.contextmanager
def _prefect_errors_alone() -> Iterator[None]:
    """Keep Prefect's loggers to errors; they took their levels when Prefect was imported."""
    levels = {
        logger: logger.level
        for name, logger in logging.root.manager.loggerDict.items()
        if name.partition(".")[0] == "prefect" and isinstance(logger, logging.Logger)
    }
    for logger, level in levels.items():
        if level:  # the others take theirs from above
            logger.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
