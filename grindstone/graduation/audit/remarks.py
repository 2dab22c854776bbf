"""What people corrected and rated in an agent's work, and which rules it broke."""

from collections.abc import Collection, Sequence
from datetime import datetime

from grindstone.base import Frozen
from grindstone.ledger import Ledger
from grindstone.ledger.recall import rows_of
from grindstone.ledger.tables.autonomy import ComplianceRow, InterventionRow, RatingRow
from grindstone.report.words import table
from grindstone.text import minute

SHOWN = 50
"""Rows of each kind that a page shows, the latest; it counts all."""
SHOWN_CHARS = 240


class Correction(Frozen):
    """A field somebody corrected."""

    episode_id: str
    at: datetime
    field: str
    original: str
    correction: str
    reason: str
    by: str


class BrokenRule(Frozen):
    """A rule an episode broke."""

    episode_id: str
    pack: str
    rule: str
    severity: str
    evidence: str


class Rated(Frozen):
    """A person's rating, from 0 to 1."""

    episode_id: str
    at: datetime
    rating: float
    by: str
    comment: str


class Remarks(Frozen):
    """All that was said of some episodes, the oldest first."""

    corrections: tuple[Correction, ...] = ()
    broken_rules: tuple[BrokenRule, ...] = ()
    ratings: tuple[Rated, ...] = ()


def remarks_on(ledger: Ledger, episode_ids: Collection[str]) -> Remarks:
    """Return what the ledger holds of some episodes."""
    edits = sorted(rows_of(ledger, InterventionRow, None, episode_ids), key=lambda row: row.at)
    rated = sorted(rows_of(ledger, RatingRow, None, episode_ids), key=lambda row: row.at)
    checks = rows_of(ledger, ComplianceRow, None, episode_ids)
    broken = {
        (row.episode_id, row.pack, found.rule, found.evidence): found
        for row in checks
        for found in row.violations
    }
    return Remarks(
        corrections=tuple(
            Correction(
                episode_id=row.episode_id,
                at=row.at,
                field=row.field,
                original=row.original,
                correction=row.correction,
                reason=row.reason,
                by=row.corrected_by,
            )
            for row in edits
        ),
        broken_rules=tuple(
            BrokenRule(
                episode_id=episode_id,
                pack=pack,
                rule=rule,
                severity=found.severity,
                evidence=evidence,
            )
            for (episode_id, pack, rule, evidence), found in sorted(
                broken.items(), key=lambda item: item[0]
            )
        ),
        ratings=tuple(
            Rated(
                episode_id=row.episode_id,
                at=row.at,
                rating=row.rating,
                by=row.rated_by,
                comment=row.comment,
            )
            for row in rated
        ),
    )


def remarks_markdown(found: Remarks, heading: str = "##") -> str:
    """Return the remarks as tables; empty where there are none.

    Args:
        found: What was said.
        heading: The marks of a heading.
    """
    parts = [
        *_part(
            f"{heading} Corrections",
            ("when (UTC)", "episode", "field", "was", "is", "why", "by"),
            [
                (
                    *(minute(row.at), row.episode_id, row.field, row.original),
                    *(row.correction, row.reason, row.by),
                )
                for row in found.corrections
            ],
        ),
        *_part(
            f"{heading} Broken rules",
            ("episode", "pack", "rule", "severity", "evidence"),
            [
                (row.episode_id, row.pack, row.rule, row.severity, row.evidence)
                for row in found.broken_rules
            ],
        ),
        *_part(
            f"{heading} Ratings",
            ("when (UTC)", "episode", "of five stars", "by", "comment"),
            [
                (
                    *(minute(row.at), row.episode_id, f"{row.rating * 5:g}"),
                    *(row.by, row.comment),
                )
                for row in found.ratings
            ],
        ),
    ]
    return "\n\n".join(parts)


def _part(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    shown = [[text[:SHOWN_CHARS] for text in row] for row in rows[-SHOWN:]]
    more = [f"And {len(rows) - SHOWN} earlier ones."] if len(rows) > SHOWN else []
    return [f"{title} ({len(rows)})", table(head, shown), *more]
