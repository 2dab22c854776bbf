"""How often the gate is wrong, measured: the same state twice, and one known to be worse."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

from prefect import flow

from grindstone.attempt.arms import Arms
from grindstone.attempt.gate_decision import gate_sentence, n_clusters, record_gate
from grindstone.base import Frozen
from grindstone.benchmark import Task
from grindstone.blocks import BlockNames
from grindstone.digest import digest
from grindstone.files import write_atomic
from grindstone.flows.attempt import PlannedAttempt
from grindstone.flows.paired import AttemptPair, attempts_of, compare_arms
from grindstone.flows.run import Run, open_run, within_budget
from grindstone.flows.weighing import holdout
from grindstone.gate.calibration import GateCalibration, summarise
from grindstone.gate.rules import RuleName, Verdict, rule_of
from grindstone.report.gate_page import REHEARSED
from grindstone.report.words import table
from grindstone.settings import CalibrateSettings, Profile
from grindstone.settings.forms import CALIBRATE
from grindstone.tasks.artifacts import artifact_key, publish_markdown
from grindstone.tasks.flow_runs import named
from grindstone.tasks.lifecycle import Finished
from grindstone.tasks.refusal import told_plainly


class RuleCalibration(Frozen):
    """One rule's record on gates whose right answer is known."""

    rule: RuleName
    same: GateCalibration
    handicapped: GateCalibration

    def wrong(self, alpha: float) -> bool:
        """Whether more of the same-state gates went against the rule's claim than alpha allows.

        `improvement` claims few accepts, `no_regression` few rejects, `threshold` nothing.
        """
        claimed = {"improvement": self.same.accepts, "no_regression": self.same.rejects}
        return self.rule in claimed and claimed[self.rule].low > alpha


class CalibrateFinished(Finished):
    """A calibration's report and what it measured, as far as it got."""

    sentence: str
    rules: tuple[RuleCalibration, ...]
    holds: bool


@flow(
    name="gate-calibrate",
    flow_run_name=named("gate calibrate"),
    cache_result_in_memory=False,
)
@told_plainly
async def calibrate(
    settings: Annotated[CalibrateSettings, CALIBRATE] = CalibrateSettings(),
    blocks: BlockNames = BlockNames(),
) -> CalibrateFinished:
    """Run gates on a state against itself, and against itself with a known handicap."""
    async with open_run("gate-calibrate", settings, blocks, seed="terminal") as run:
        same: dict[RuleName, list[Verdict]] = defaultdict(list)
        worse: dict[RuleName, list[Verdict]] = defaultdict(list)
        tasks = holdout(run.planned.tasks, run.settings.holdout_ratio, run.settings)
        said = await asyncio.to_thread(gate_sentence, run.settings, tasks)
        run.note(said)
        note = await within_budget(_measure(run, tasks, said, same, worse))
        rules = tuple(
            RuleCalibration(
                rule=rule,
                same=summarise(same[rule]),
                handicapped=summarise(worse[rule], handicap=run.settings.handicap),
            )
            for rule in _rules(run.settings)
        )
        done = await run.finish(note=note)
        note = REHEARSED if run.solver.rehearsal else ""
        markdown = calibration_markdown(said, rules, run.settings, note=note)
        await asyncio.to_thread(write_atomic, done.folder / "calibration.md", markdown)
        await publish_markdown(
            artifact_key("gate-calibration", run.settings.agent_id),
            markdown,
            description=f"{len(same['no_regression'])} gates of each kind",
        )
        return CalibrateFinished(
            report=done.report,
            folder=done.folder,
            sentence=said,
            rules=rules,
            holds=not any(rule.wrong(run.settings.gate_alpha) for rule in rules),
        )


async def _measure(
    run: Run[CalibrateSettings],
    tasks: Sequence[Task],
    said: str,
    same: dict[RuleName, list[Verdict]],
    worse: dict[RuleName, list[Verdict]],
) -> None:
    settings = run.settings
    state = run.base
    arms = Arms(baseline=state, candidate=state)
    for number in range(settings.repeats):
        # Trials are numbered on, so that no two gates share an attempt by either arm.
        first = number * settings.gate_trials
        plan = attempts_of(run, tasks, arms, trials=range(first, first + settings.gate_trials))
        for kind, attempts, verdicts in (
            ("same", plan, same),
            ("handicapped", _handicapped(plan, settings), worse),
        ):
            gate_id = f"{kind}-{number + 1}"
            pairs = await compare_arms(
                run, attempts, gate_id=gate_id, until_settled=None, reuse=False
            )
            gated = await asyncio.to_thread(
                record_gate,
                run.ledger,
                run.key,
                settings,
                arms,
                pairs,
                gate_id=gate_id,
                cycle=0,
                n_clusters=n_clusters(tasks),
                said=said,
            )
            for name in _rules(settings):
                rule = rule_of(name, alpha=settings.gate_alpha, threshold=settings.gate_threshold)
                verdicts[name].append(rule.judge(gated.comparison).verdict)
            told = f"Gate {gate_id}: {gated.row.verdict}, {gated.row.reason}"
            run.note(told)


def _rules(settings: CalibrateSettings) -> tuple[RuleName, ...]:
    """Return the rules that can be measured; `threshold` is one only where one is given."""
    exact: tuple[RuleName, ...] = ("no_regression", "improvement")
    return (*exact, "threshold") if settings.gate_threshold else exact


def _handicapped(plan: Sequence[AttemptPair], settings: CalibrateSettings) -> list[AttemptPair]:
    """Let a fixed share of the candidate's attempts do nothing at all."""
    ranked = sorted(
        range(len(plan)),
        key=lambda n: digest([settings.split_seed, plan[n][1].spec.task_id, plan[n][1].spec.trial]),
    )
    idle = set(ranked[: round(settings.handicap * len(plan))])
    return [
        (before, _idle(after) if n in idle else after) for n, (before, after) in enumerate(plan)
    ]


def _idle(wanted: PlannedAttempt) -> PlannedAttempt:
    solver = wanted.spec.solver.model_copy(update={"profile": Profile.NOP})
    return PlannedAttempt(wanted.spec.model_copy(update={"solver": solver}), wanted.task)


def calibration_markdown(
    said: str, rules: Sequence[RuleCalibration], settings: CalibrateSettings, *, note: str = ""
) -> str:
    """Return what was measured, a table per kind of gate."""
    parts = ["# Calibration of the gate", note, said]
    for title, kind in (
        ("The same state twice: every difference is chance", "same"),
        (
            f"{settings.handicap:.0%} of the candidate's attempts do nothing: rejects are power",
            "handicapped",
        ),
    ):
        rows = []
        for rule in rules:
            found: GateCalibration = getattr(rule, kind)
            rows.append([rule.rule, *map(str, (found.accepts, found.rejects, found.cannot_tell))])
        head = ("rule", "accepted", "rejected", "could not tell")
        parts += [f"## {title}", table(head, rows)]
    parts.append(
        f"At a level of {settings.gate_alpha:.0%}, `improvement` claims to accept and "
        "`no_regression` to reject no more than that share of same-state gates. "
        "Intervals are exact (Clopper and Pearson)."
    )
    return "\n\n".join(part for part in parts if part) + "\n"
