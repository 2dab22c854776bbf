"""An agent measured and scored out of the ledger, and the rows that keep it."""

from collections.abc import Sequence
from math import sqrt

from grindstone.base import Frozen
from grindstone.competency.evaluation import CompetencyEval, CompetencyResult
from grindstone.competency.lineage import lineages_of
from grindstone.competency.measured import Estimate, estimates, measure
from grindstone.competency.notation import dependency_of
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import CompetencyRow
from grindstone.records import utc_now
from grindstone.report.words import money
from grindstone.settings import CompetencySettings


class Scoring(Frozen):
    """One scoring of an agent."""

    index: int  # within the run, from 0
    result: CompetencyResult
    estimates: dict[str, Estimate]
    notes: dict[str, str] = {}  # by domain: which evidence is missing, and what it would cost


def measure_agent(
    ledger: Ledger, agent_id: str, settings: CompetencySettings, domains: Sequence[str]
) -> dict[str, Estimate]:
    """Return an agent's competency in some domains, as the ledger shows it now."""
    table = measure(
        ledger.scan("episodes"),
        base=settings.base,
        by=settings.domains_by,
        prior_strength=settings.prior_strength,
        half_life_days=settings.half_life_days,
        min_episodes=settings.min_episodes,
        lineages=lineages_of(ledger.home, [agent_id]),
        parts=ledger.scan("task_parts"),
    )
    found = estimates(table, agent_id, domains)
    return {name: found[name] for name in domains}


def evidence_note(estimate: Estimate, settings: CompetencySettings) -> str:
    """Return what a reader should know of the evidence: too little, or what more would cost."""
    least = settings.min_episodes
    if not estimate.exhausted(least):
        return estimate.note
    cost = estimate.mean_cost_usd
    if not estimate.mastered(least):
        unseen = least - estimate.clean_unseen
        return (
            f"not shown to be mastered: its last {estimate.clean} attempts passed, "
            f"{estimate.clean_unseen} of them at tasks it never trained on; {unseen} more passes "
            f"at such tasks are missing{_price(unseen, cost)}"
        )
    # All domains at this share of the base, with each other's full weight, make the target.
    missing = estimate.passes_missing(sqrt(settings.target_index), settings.base)
    if not missing:
        return estimate.note
    return (
        f"nothing left to learn from: its last {estimate.clean} attempts passed; {missing} more "
        f"passes would show the target{_price(missing, cost)}"
    )


def _price(attempts: int, cost: float | None) -> str:
    return f", about {money(attempts * cost)}" if cost else ""


def score_agent(
    ledger: Ledger,
    agent_id: str,
    settings: CompetencySettings,
    domains: Sequence[str],
    *,
    run_key: str,
    index: int,
) -> Scoring:
    """Measure, score, and keep the rows."""
    found = measure_agent(ledger, agent_id, settings, domains)
    result = CompetencyEval(
        {name: estimate.score for name, estimate in found.items()},
        settings.base,
        dependency_of(settings.dependency),
        default_weight=settings.default_weight,
    ).run()
    now = utc_now()
    notes = {name: evidence_note(estimate, settings) for name, estimate in found.items()}
    rows = [
        CompetencyRow(
            run_key=run_key,
            agent_id=agent_id,
            index=index,
            domain=name,
            score=estimate.score,
            base=settings.base,
            interval_low=estimate.low,
            interval_high=estimate.high,
            n_episodes=estimate.n_episodes,
            deficit=result.deficits[name],
            centrality=result.centrality[name],
            priority=result.priority[name],
            competency_index=result.index,
            balanced_index=result.balanced_index,
            note=notes[name],
            at=now,
        )
        for name, estimate in found.items()
    ]
    ledger.append(rows, run_key=run_key)
    return Scoring(index=index, result=result, estimates=found, notes=notes)
