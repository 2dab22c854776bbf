"""Evolutionary Generality Loss: how many skills it takes to solve a thousand tasks."""

from collections.abc import Sequence


def compute_egl(new_skills: int, tasks_solved: int) -> float | None:
    """Return new skills per thousand solved tasks.

    Args:
        new_skills: Skills created in a cycle; changed ones don't count.
        tasks_solved: Distinct tasks solved so far in the run.

    Returns:
        `new_skills / tasks_solved * 1000`; None while no task was solved, since a library
        that has solved nothing says nothing about its generality.

    Raises:
        ValueError: A count is negative.
    """
    if new_skills < 0 or tasks_solved < 0:
        raise ValueError(f"counts must not be negative: {new_skills=}, {tasks_solved=}")
    return None if tasks_solved == 0 else new_skills / tasks_solved * 1000


def is_converged(
    history: Sequence[float | None], *, threshold: float = 0.05, window: int = 3
) -> bool:
    """Return whether the last `window` cycles all lie below the threshold.

    An undefined cycle (None) is not below anything, so it never counts as stable.
    """
    recent = history[-window:]
    return len(recent) == window and all(egl is not None and egl < threshold for egl in recent)
