"""Checking episodes against the constitution, into the ledger."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from grindstone.boundary import step_boundary
from grindstone.errors import InternalError
from grindstone.graduation.constitution.evaluate import (
    Compliance,
    RuleAnswer,
    applies,
    evaluate,
    suggested,
)
from grindstone.graduation.constitution.judging import ask_judge, of_its_field
from grindstone.graduation.constitution.material import Material, material_of
from grindstone.graduation.constitution.pack import JudgedRule, Pack
from grindstone.graduation.registry import Registry
from grindstone.ledger.recall import rows_of
from grindstone.ledger.tables.attempts import StepRow, TrajectoryRow, trajectory_of
from grindstone.ledger.tables.autonomy import ComplianceRow
from grindstone.llm.messages import Model
from grindstone.records import Episode, Trajectory

AT_ONCE = 500
"""Episodes whose steps are held in memory together."""


async def check(
    registry: Registry, episodes: Sequence[Episode], *, judge: Model | None = None
) -> dict[str, tuple[Compliance, ...]]:
    """Hold episodes against their agents' rule packs and keep the result.

    Besides the packs an agent's policy demands, those are checked that apply always or by an
    episode's label; one that only a word suggests, where the judge finds the episode to be of
    its field. Checking again with the same packs changes nothing. An episode whose check
    fails for reasons nobody foresaw stays unchecked, which no promotion overlooks.

    Args:
        registry: Ledger and packs.
        episodes: What to check.
        judge: Decides judged rules; without it they stay undecided.
    """
    found: dict[str, tuple[Compliance, ...]] = {}
    for start in range(0, len(episodes), AT_ONCE):
        part = episodes[start : start + AT_ONCE]
        materials = _materials(registry, part)
        rows: defaultdict[str, list[ComplianceRow]] = defaultdict(list)
        for episode in part:
            material = materials[episode.episode_id]
            answers: dict[str, RuleAnswer] | None = None
            relevant: frozenset[str] = frozenset()
            try:
                with step_boundary(f"check of the attempt at {episode.task_id}"):
                    if judge is not None:
                        demanded = registry.demanded(registry.policy(episode.agent_id))
                        relevant = await of_its_field(
                            material, _suggested(registry, demanded, material), judge
                        )
                        called = (
                            pack
                            for pack in registry.packs.values()
                            if pack not in demanded
                            and (pack.name in relevant or applies(pack, material))
                        )
                        answers = await ask_judge(material, (*demanded, *called), judge)
                    results = hold(registry, episode, material, answers, relevant)
            except InternalError:
                continue
            found[episode.episode_id] = results
            rows[episode.run_key] += [
                _row(registry, episode, result, judged=judge is not None) for result in results
            ]
        for run_key, batch in rows.items():
            registry.ledger.append(batch, run_key=run_key)
    return found


def check_at_once(
    registry: Registry, episode: Episode, trajectory: Trajectory | None
) -> tuple[Compliance, ...] | None:
    """Hold an episode against the rule packs where it was made.

    Args:
        registry: Ledger and packs.
        episode: What to check.
        trajectory: Its steps; None: they are read from the ledger.

    Returns:
        How it stands; None when that hangs on judged rules: those are left to the review,
        which may have a judge to ask. A breach that settles the score waits for none.
    """
    material = (
        _materials(registry, [episode])[episode.episode_id]
        if trajectory is None
        else material_of(episode, trajectory)
    )
    results = hold(registry, episode, material)
    demanded = {pack.name for pack in registry.demanded(registry.policy(episode.agent_id))}
    settled = [
        each
        for each in results
        if each.score == 0.0
        or not _has_judged(registry.packs[each.pack])
        # The review looks only for packs the policy names: nobody would note this one later.
        or (each.pack not in demanded and each.violations)
    ]
    registry.ledger.append(
        [_row(registry, episode, each, judged=False) for each in settled], run_key=episode.run_key
    )
    open_ones = {each.pack for each in results} - {each.pack for each in settled}
    broken = any(each.score == 0.0 for each in results)
    return results if broken or not open_ones & demanded else None


def _has_judged(pack: Pack) -> bool:
    return any(isinstance(rule, JudgedRule) for rule in pack.rules.rules)


def hold(
    registry: Registry,
    episode: Episode,
    material: Material,
    answers: Mapping[str, RuleAnswer] | None = None,
    relevant: frozenset[str] = frozenset(),
) -> tuple[Compliance, ...]:
    """Return how an episode stands against each pack that concerns it.

    Args:
        registry: Packs and policies.
        episode: What is checked.
        material: What it did.
        answers: What a judge answered, by rule.
        relevant: Packs of whose field a judge found it to be.
    """
    demanded = registry.demanded(registry.policy(episode.agent_id))
    names = {pack.name for pack in demanded}
    others = [pack for name, pack in registry.packs.items() if name not in names]
    results = [evaluate(material, pack, answers, demanded=True) for pack in demanded]
    called = [
        evaluate(material, pack, answers, judged_relevant=pack.name in relevant) for pack in others
    ]
    return (*results, *(each for each in called if each.applies))


def _suggested(
    registry: Registry, demanded: Sequence[Pack], material: Material
) -> tuple[Pack, ...]:
    return tuple(
        pack
        for pack in registry.packs.values()
        if pack not in demanded and suggested(pack, material)
    )


def overall(results: Sequence[Compliance], stated: float | None) -> float | None:
    """Return an episode's score over its packs: the lowest, or None while one is unknown."""
    scores = [result.score for result in results]
    if stated is not None:
        scores.append(stated)
    known = [score for score in scores if score is not None]
    if known and min(known) <= 0.0:
        return 0.0
    return None if len(known) < len(scores) or not known else min(known)


def _materials(registry: Registry, episodes: Sequence[Episode]) -> dict[str, Material]:
    by_run: defaultdict[str, list[str]] = defaultdict(list)
    for episode in episodes:
        by_run[episode.run_key].append(episode.episode_id)
    trajectories: dict[tuple[str, str], Trajectory] = {}
    for run_key, ids in by_run.items():
        steps: defaultdict[str, list[StepRow]] = defaultdict(list)
        for step in rows_of(registry.ledger, StepRow, run_key, ids):
            steps[step.episode_id].append(step)
        for end in rows_of(registry.ledger, TrajectoryRow, run_key, ids):
            trajectories[run_key, end.episode_id] = trajectory_of(end, steps[end.episode_id])
    return {
        episode.episode_id: material_of(
            episode, trajectories.get((episode.run_key, episode.episode_id))
        )
        for episode in episodes
    }


def _row(
    registry: Registry, episode: Episode, result: Compliance, *, judged: bool
) -> ComplianceRow:
    """Return the row of a check; one that only a judge can finish gives way to the judge's."""
    open_one = result.score is None and not judged and _has_judged(registry.packs[result.pack])
    return ComplianceRow(
        episode_id=episode.episode_id,
        agent_id=episode.agent_id,
        pack=result.pack,
        pack_digest=result.pack_digest,
        score=result.score,
        n_rules=result.rules_applied,
        violations=result.violations,
        note=result.note,
        waits="judge" if open_one else "",
        at=registry.clock(),
    )
