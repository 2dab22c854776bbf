"""What a person reads in the Prefect UI: reports, verdicts, curves, trajectories.

Artifacts of one key are versions of one thing, so a task's trajectories over cycles and
runs lie behind one another. Keys take lowercase letters, digits and dashes.
"""

import re
from collections.abc import Sequence
from typing import Any

from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.context import get_run_context
from prefect.exceptions import MissingContextError
from prefect.settings import get_current_settings

from grindstone.attempt.run import Attempted
from grindstone.observe.narrative import trajectory_markdown
from grindstone.records import Episode


def artifact_key(*parts: str) -> str:
    """Return a valid artifact key made of parts."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def artifact_link(key: str, text: str) -> str:
    """Return a markdown link to an artifact's page in the UI."""
    ui = get_current_settings().ui_url or ""
    return f"[{text}]({ui}/artifacts/key/{key})"


def trajectory_key(task_id: str) -> str:
    """Return the key of a task's trajectories."""
    return artifact_key("trajectory", task_id)


async def publish_trajectory(attempted: Attempted) -> None:
    """Show one attempt: headline, skills, then every step."""
    episode = attempted.episode
    await publish_markdown(
        trajectory_key(episode.task_id),
        f"{_headline(episode)}\n\n{_skills(attempted)}\n\n"
        f"{trajectory_markdown(attempted.trajectory)}\n",
        description=_headline(episode).lstrip("# "),
    )


async def publish_markdown(key: str, markdown: str, *, description: str) -> None:
    """Publish a markdown artifact, where a run is there to carry it."""
    if _in_a_run():
        await acreate_markdown_artifact(markdown=markdown, key=key, description=description)


async def publish_table(key: str, rows: Sequence[dict[str, Any]], *, description: str) -> None:
    """Publish a table artifact, where a run is there to carry it."""
    if _in_a_run():
        await acreate_table_artifact(table=list(rows), key=key, description=description)


def _in_a_run() -> bool:
    try:
        get_run_context()
    except MissingContextError:
        return False
    return True


def _headline(episode: Episode) -> str:
    mark = "✓ passed" if episode.passed else "✗ failed"
    tests = f", {episode.tests_passed}/{episode.tests_total} tests" if episode.tests_total else ""
    return (
        f"### {mark}: {episode.task_id}, cycle {episode.cycle}, "
        f"reward {episode.reward:.2f}{tests}, {episode.turns} turns, {episode.duration_s:.1f} s"
    )


def _skills(attempted: Attempted) -> str:
    if not attempted.uses:
        return "No skills were offered."
    rows = [
        f"| {use.skill} | {'✓' if use.loaded else ''} | {'✓' if use.followed else ''} |"
        for use in attempted.uses
    ]
    return "\n".join(["| skill offered | loaded | followed |", "|---|---|---|", *rows])
