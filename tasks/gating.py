"""A gate's decision: taken, kept in the ledger, shown in the Prefect UI."""

import asyncio
from collections.abc import Sequence

from grindstone.attempt.arms import Arms
from grindstone.benchmark import Task
from grindstone.files import write_atomic
from grindstone.gate.paired import PairedComparison, compare_paired
from grindstone.gate.power import detectable_effect, sentence
from grindstone.gate.rules import CannotTell, GateDecision, Rule, decide, rule_of
from grindstone.ledger.tables.runs import GateDecisionRow, GatePairRow
from grindstone.records import utc_now
from grindstone.report.gate_page import Gated, as_pair, gate_markdown, gate_plot
from grindstone.report.markdown_gates import gate_headline
from grindstone.report.plots import as_markdown_image
from grindstone.settings import GateOptions
from grindstone.tasks.artifacts import artifact_key, artifact_link, publish_markdown, trajectory_key
from grindstone.tasks.runtime import Runtime


def gate_rule(options: GateOptions) -> Rule:
    """Return the rule that settings ask for."""
    return rule_of(options.gate_rule, alpha=options.gate_alpha, threshold=options.gate_threshold)


def gate_sentence(options: GateOptions, tasks: Sequence[Task]) -> str:
    """Return what is said before a gate runs."""
    return sentence(
        len(tasks),
        options.gate_trials,
        alpha=options.gate_alpha,
        direction=gate_rule(options).direction,
        n_clusters=n_clusters(tasks),
    )


def n_clusters(tasks: Sequence[Task]) -> int:
    """Return how many pieces of evidence some tasks are."""
    return len({task.cluster for task in tasks})


async def record_gate(
    runtime: Runtime,
    options: GateOptions,
    arms: Arms,
    pairs: Sequence[GatePairRow],
    *,
    gate_id: str,
    cycle: int,
    n_clusters: int,
    said: str,
) -> Gated:
    """Decide on what was seen, and keep the pairs and the decision.

    Args:
        runtime: The run's resources.
        options: Rule, level, policy.
        arms: What was compared.
        pairs: What was seen.
        gate_id: Names the gate within the run.
        cycle: The run's cycle, 0 for none.
        n_clusters: Clusters of the tasks that were planned.
        said: What was said before it ran.
    """
    rule = gate_rule(options)
    seen = await asyncio.to_thread(lambda: compare_paired(as_pair(pair) for pair in pairs))
    decision = decide(rule, seen, CannotTell(options.gate_on_cannot_tell))
    row = _row(runtime, options, arms, seen, decision, gate_id=gate_id, cycle=cycle).model_copy(
        update={
            "p_value": {"drop": seen.p_worse, "gain": seen.p_better}.get(rule.direction),
            "alpha": None if rule.direction == "none" else options.gate_alpha,
            "detectable_effect": None
            if rule.direction == "none"
            else await asyncio.to_thread(
                detectable_effect, n_clusters, options.gate_trials, alpha=options.gate_alpha
            ),
        }
    )
    for rows in (list(pairs), [row]):
        await asyncio.to_thread(runtime.ledger.append, rows, run_key=runtime.run_key)
    return Gated(row=row, pairs=tuple(pairs), comparison=seen, sentence=said)


def _row(
    runtime: Runtime,
    options: GateOptions,
    arms: Arms,
    seen: PairedComparison,
    decision: GateDecision,
    *,
    gate_id: str,
    cycle: int,
) -> GateDecisionRow:
    shared = GateDecisionRow.model_fields.keys() & PairedComparison.model_fields.keys()
    return GateDecisionRow(
        run_key=runtime.run_key,
        gate_id=gate_id,
        cycle=cycle,
        rule=options.gate_rule,
        verdict=decision.verdict,
        accepted=decision.accepted,
        threshold=options.gate_threshold,
        commit_before=arms.baseline.commit,
        commit_after=arms.candidate.commit,
        reason=decision.reason,
        at=utc_now(),
        **{name: getattr(seen, name) for name in shared},
    )


async def publish_gate(runtime: Runtime, gated: Gated) -> None:
    """Show a decision: in the run's folder, and as an artifact with links to trajectories."""
    svg = await asyncio.to_thread(gate_plot, gated)
    name = artifact_key("gate", gated.row.gate_id)
    await asyncio.to_thread(write_atomic, runtime.run_dir / "plots" / f"{name}.svg", svg)
    in_folder = gate_markdown(gated, f"![differences](plots/{name}.svg)")
    await asyncio.to_thread(write_atomic, runtime.run_dir / f"{name}.md", in_folder)
    await publish_markdown(
        artifact_key("gate", runtime.agent_id),
        gate_markdown(gated, as_markdown_image(svg, "differences"), link=_to_trajectory),
        description=gate_headline(gated.row),
    )


def _to_trajectory(task_id: str) -> str:
    return artifact_link(trajectory_key(task_id), task_id)
