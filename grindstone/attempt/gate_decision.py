"""A gate's decision: taken on what was seen, kept in the ledger."""

from collections.abc import Sequence

from grindstone.attempt.arms import Arms
from grindstone.benchmark import Task
from grindstone.benchmark.dataset import clusters_of
from grindstone.gate.paired import PairedComparison, compare_paired
from grindstone.gate.power import detectable_effect, sentence
from grindstone.gate.rules import CannotTell, GateDecision, Rule, decide, near_edge, rule_of
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import GateDecisionRow, GatePairRow
from grindstone.records import Arm, utc_now
from grindstone.report.gate_page import Gated, as_pair
from grindstone.settings import GateOptions, GateSettings, SearchOptions


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
    return len(set(clusters_of(tasks).values()))


def open_still(ledger: Ledger, options: GateOptions, pairs: Sequence[GatePairRow]) -> bool:
    """Whether a search is to look at a candidate again: near the edge, and within its budget.

    What earlier gates of the run spent is in the ledger, so a resumed run has as much left.

    Args:
        ledger: Of the run.
        options: Rule and budget.
        pairs: What its gate has seen of the candidate, at least one.
    """
    if not isinstance(options, SearchOptions) or options.gate_rule != "higher" or not pairs:
        return False
    if not near_edge(compare_paired(map(as_pair, pairs))):
        return False
    gate, known = pairs[0], ledger.rows(GatePairRow, pairs[0].run_key)
    spent = {row.gate_id for row in known if row.trial >= options.gate_trials} - {gate.gate_id}
    return len(spent) < options.gate_second_looks


def record_gate(
    ledger: Ledger,
    run_key: str,
    options: GateOptions,
    arms: Arms,
    pairs: Sequence[GatePairRow],
    *,
    gate_id: str,
    cycle: int,
    n_clusters: int,
    said: str,
    known: str = "",
    n_left_out: int = 0,
) -> Gated:
    """Decide on what was seen, and keep the pairs and the decision.

    Of a gate that is a run of its own, what no attempt has a score for is not kept, so that the
    run weighs again when it is resumed. A learning run has gone on from its decision.

    Args:
        ledger: Where they are kept.
        run_key: The run the gate belongs to.
        options: Rule, level, policy.
        arms: What was compared.
        pairs: What was seen.
        gate_id: Names the gate within the run.
        cycle: The run's cycle, 0 for none.
        n_clusters: Clusters of the tasks that were planned.
        said: What was said before it ran.
        known: What is known of the change from before; told with the reason.
        n_left_out: Pairs of the plan that could not change the verdict and were not made.
    """
    rule = gate_rule(options)
    tests = rule.direction in ("drop", "rise")
    seen = compare_paired(as_pair(pair) for pair in pairs)
    decision = decide(rule, seen, CannotTell(options.gate_on_cannot_tell))
    if known:
        decision = decision.model_copy(update={"reason": f"{decision.reason}; {known}"})
    row = _row(run_key, options, arms, seen, decision, gate_id=gate_id, cycle=cycle).model_copy(
        update={
            "n_left_out": n_left_out,
            "n_broke_before": sum(pair.broke is Arm.BASELINE for pair in pairs),
            "n_broke_after": sum(pair.broke is Arm.CANDIDATE for pair in pairs),
            "p_value": {"drop": seen.p_worse, "rise": seen.p_better}.get(rule.direction),
            "alpha": options.gate_alpha if tests else None,
            "detectable_effect": None
            if not tests
            else detectable_effect(n_clusters, options.gate_trials, alpha=options.gate_alpha),
        }
    )
    gated = Gated(row=row, pairs=tuple(pairs), comparison=seen, sentence=said)
    if gated.unmeasured and isinstance(options, GateSettings):
        return gated
    for rows in (list(pairs), [row]):
        ledger.append(rows, run_key=run_key)
    return gated


def _row(
    run_key: str,
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
        run_key=run_key,
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
