"""Work that is told twice under two ids: it is one piece of work, and counts once.

Two tellings are of the same work where one agent did the very same from the very same instant on,
with the same outcome, and nothing but the id tells them apart. Other ratings or skills do not.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from pydantic import JsonValue

from grindstone.digest import digest
from grindstone.errors import InputError
from grindstone.graduation.intake.recording import Recorded
from grindstone.graduation.registry import Registry
from grindstone.ledger.recall import rows_of
from grindstone.ledger.tables.attempts import StepRow
from grindstone.records import Episode, Step

_TOLD = {
    *("agent_id", "title", "outcome", "started_at", "ended_at", "category", "difficulty"),
    *("tags", "topics", "confidence", "constitutional_score"),
}


def refuse_same_work(registry: Registry, told: Recorded) -> None:
    """Refuse work that the ledger has under another id.

    Raises:
        InputError: It has; names both.
    """
    episode = told.episode
    for known in known_work(registry, [told]).get(mark_of(told), ()):
        if known.episode_id != episode.episode_id:
            raise InputError(
                f"episode {episode.episode_id}",
                f"tells the work that {known.episode_id} of run {known.run_key} tells",
                "each piece of work once, or its own beginning and steps",
            )


def known_work(registry: Registry, told: Sequence[Recorded]) -> dict[str, list[Episode]]:
    """Return the kept episodes that may be the work that is told, by `mark_of`."""
    import polars as pl

    agents = {each.episode.agent_id for each in told}
    begun = pl.Series([each.episode.started_at for each in told], dtype=pl.Datetime("us", "UTC"))
    ids = (
        registry.ledger.scan(Episode)
        .filter(
            pl.col("agent_id").is_in(sorted(agents))
            & pl.col("started_at").is_in(begun.unique().implode())
            & (pl.col("task_digest").fill_null("") == "")
        )
        .select("episode_id")
        .collect()["episode_id"]
        .to_list()
    )
    if not ids:
        return {}
    steps: defaultdict[str, list[StepRow]] = defaultdict(list)
    for row in rows_of(registry.ledger, StepRow, None, ids):
        steps[row.episode_id].append(row)
    found: defaultdict[str, list[Episode]] = defaultdict(list)
    for episode in rows_of(registry.ledger, Episode, None, ids):
        found[_mark(episode, sorted(steps[episode.episode_id], key=lambda row: row.index))].append(
            episode
        )
    return found


def mark_of(told: Recorded) -> str:
    """Return what the same work has under any id."""
    return _mark(told.episode, told.trajectory.steps if told.trajectory else ())


def _mark(episode: Episode, steps: Collection[Step | StepRow]) -> str:
    done: list[JsonValue] = [
        {
            "said": step.message,
            "calls": [call.model_dump(exclude={"call_id"}) for call in step.calls],
        }
        for step in steps
    ]
    said = episode.model_dump(mode="json", include=_TOLD)
    about = {name: value for name, value in episode.metadata.items() if name != "session_id"}
    return digest([said, about, done])
