"""An attempt as a person reads it."""

from grindstone.attempt.run import AttemptResult
from grindstone.observe.narrative import trajectory_markdown, verdict_markdown
from grindstone.records import Episode
from grindstone.report.words import table
from grindstone.text import count


def attempt_headline(episode: Episode) -> str:
    """Return the outcome in a line."""
    mark = "✓ passed" if episode.passed else "✗ failed"
    tests = (
        f", {episode.tests_passed}/{episode.tests_total} tests passed"
        if episode.tests_total
        else ""
    )
    return (
        f"{mark}: {episode.task_id}, cycle {episode.cycle}, "
        f"reward {episode.reward:.2f}{tests}, "
        f"{count(episode.turns, 'turn')}, {episode.duration_s:.1f} s"
    )


def attempt_markdown(attempted: AttemptResult) -> str:
    """Return the page: headline, why it failed, skills, then every step, the prompt last."""
    return (
        f"### {attempt_headline(attempted.episode)}\n\n{verdict_markdown(attempted.verdict)}\n\n"
        f"{_skills(attempted)}\n\n{trajectory_markdown(attempted.trajectory)}\n"
    )


def _skills(attempted: AttemptResult) -> str:
    if not attempted.uses:
        return "No skills were offered."
    return table(
        ("skill offered", "loaded", "followed"),
        (
            (use.skill, "✓" if use.loaded else "", "✓" if use.followed else "")
            for use in attempted.uses
        ),
    )
