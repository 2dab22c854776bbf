"""A release's certificate: the claim, and every row it rests on, for a reader without Grindstone.

docs/campaign.md has the lines of Python that compute its p-value from `pairs` anew.
"""

from typing import Literal

from pydantic import AwareDatetime, Field

from grindstone.base import Frozen
from grindstone.digest import canonical_json
from grindstone.gate.signflip import grid_of
from grindstone.ledger.tables.releases import ReleaseRow
from grindstone.ledger.tables.runs import GatePairRow
from grindstone.report.words import percent, table
from grindstone.text import count


class CertifiedPair(Frozen):
    """A sealed task and trial, before and after; null where infrastructure left no score."""

    task: str
    task_digest: str
    cluster: str
    trial: int
    baseline: float | None
    candidate: float | None


class Certificate(Frozen):
    """What is claimed, and from what."""

    format: Literal["grindstone-release-1"] = "grindstone-release-1"
    claim: str
    claimed: bool
    error_rate: float = Field(
        description="Chance that any of all releases on these tasks announces a gain falsely."
    )
    level: float = Field(description="This release's part of it.")
    p_value: float = Field(description="Exact sign-flip test by cluster, one-sided: better.")
    difference: float | None
    interval_95: tuple[float, float] | None
    nth_release_on_these_tasks: int
    gates_while_searching: int = Field(description="On other tasks; they claim nothing.")
    agent: str
    model: str
    profile: str
    trials: int
    rehearsal: bool
    baseline_commit: str
    baseline_tree: str
    candidate_commit: str
    candidate_tree: str
    query_id: str
    grid: int = Field(description="Differences are rounded to this many parts of 1.")
    at: AwareDatetime
    pairs: tuple[CertifiedPair, ...]
    public_key: str = Field("", description="Ed25519, raw, in base64; empty: not signed.")
    signature: str = Field("", description="Over `message`, in base64.")

    def message(self) -> bytes:
        """Return what is signed: sorted keys, no white space, an empty signature."""
        return canonical_json(self.model_copy(update={"signature": ""})).encode()


def certificate_of(
    row: ReleaseRow, pairs: list[GatePairRow], digests: dict[str, str]
) -> Certificate:
    """Return the certificate of a release.

    Args:
        row: What it says.
        pairs: The attempts it rests on.
        digests: Of the tasks, by id.
    """
    both = row.interval_low is not None and row.interval_high is not None
    return Certificate(
        claim=release_headline(row),
        claimed=row.claimed,
        error_rate=row.alpha,
        level=row.level,
        p_value=row.p_better,
        difference=row.difference,
        interval_95=(row.interval_low or 0.0, row.interval_high or 0.0) if both else None,
        nth_release_on_these_tasks=row.nth,
        gates_while_searching=row.gates,
        agent=row.agent_id,
        model=row.model,
        profile=row.profile,
        trials=row.trials,
        rehearsal=row.model == "rehearsal",
        baseline_commit=row.commit_before,
        baseline_tree=row.tree_before,
        candidate_commit=row.commit_after,
        candidate_tree=row.tree_after,
        query_id=row.query_id,
        grid=grid_of(row.n_clusters),
        at=row.at,
        pairs=tuple(
            CertifiedPair(
                task=pair.task_id,
                task_digest=digests[pair.task_id],
                cluster=pair.cluster or pair.task_id,
                trial=pair.trial,
                baseline=pair.baseline_score,
                candidate=pair.candidate_score,
            )
            for pair in sorted(pairs, key=lambda pair: (pair.task_id, pair.trial))
        ),
    )


def release_headline(row: ReleaseRow) -> str:
    """Return what a release says, in a sentence."""
    if row.difference is None:
        return "No gain is announced: no sealed task has a score on both sides."
    low, high = 100 * (row.interval_low or 0.0), 100 * (row.interval_high or 0.0)
    seen = (
        f"{100 * row.difference:+.0f} points on {count(row.n_tasks, 'sealed task')} "
        f"(95% interval {low:+.0f} to {high:+.0f}; p = {row.p_better:.2g} at {row.level:.2%})"
    )
    if row.claimed:
        return f"Gain: {seen}."
    return f"No gain is announced; measured {seen}."


def release_facts(row: ReleaseRow) -> str:
    """Return what a release rests on, for the report of its run."""
    rows = [
        ("before → after", f"{percent(row.baseline_mean)} → {percent(row.candidate_mean)}"),
        ("better / worse / same", f"{row.wins} / {row.losses} / {row.ties}"),
        ("pairs", f"{row.n_pairs}, {row.n_missing} without both scores"),
        ("look", f"{row.nth}, with {row.level:.2%} of {row.alpha:.0%} for all"),
    ]
    about = (
        f"While searching, changes went through {_gates(row.gates)} on other tasks, whose figures "
        "claim nothing. Every trial stands in `certificate.md`."
    )
    return f"## Release\n\n{about}\n\n{table(('', ''), rows)}"


def _gates(n: int) -> str:
    return count(n, "gate")


def certificate_markdown(found: Certificate) -> str:
    """Return a certificate as a page."""
    signed = f"signed, public key `{found.public_key}`" if found.signature else "not signed"
    facts = [
        f"# Release of {found.agent}",
        "> This was a rehearsal: a local program stood in for the model." * found.rehearsal,
        f"**{found.claim}**",
        f"- over all releases on these tasks, a gain is announced falsely with a chance of at "
        f"most {found.error_rate:.0%}; this is look {found.nth_release_on_these_tasks} at them and "
        f"has {found.level:.2%} of it\n"
        f"- while searching, changes went through {_gates(found.gates_while_searching)} on other "
        "tasks, whose figures claim nothing\n"
        f"- model {found.model}, profile {found.profile}, {found.trials} trials a task and state\n"
        f"- from {found.baseline_commit[:12]} (tree {found.baseline_tree[:12]}) to "
        f"{found.candidate_commit[:12]} (tree {found.candidate_tree[:12]})\n"
        f"- {signed}; `certificate.json` holds the rows its p-value is computed from",
        table(
            ("task", "cluster", "trial", "before", "after", "digest"),
            [
                [
                    pair.task,
                    pair.cluster,
                    str(pair.trial),
                    "missing" if pair.baseline is None else f"{pair.baseline:.2f}",
                    "missing" if pair.candidate is None else f"{pair.candidate:.2f}",
                    pair.task_digest[:12],
                ]
                for pair in found.pairs
            ],
        ),
    ]
    return "\n\n".join(filter(None, facts)).rstrip() + "\n"
