"""How far a run has come, counted from what it tells."""

import time
from collections import Counter

from grindstone.llm.budget import Spend
from grindstone.records import Outcome
from grindstone.runs.progress import (
    Advanced,
    AttemptBegan,
    AttemptEnded,
    LearningBegan,
    Note,
    Progress,
    RunBegan,
    SentAway,
    TurnEnded,
    sentence,
)
from grindstone.text import count

LATEST = 5
"""Sentences of the run that are shown."""


class AtWork:
    """What a run is doing: learning, or which attempts, and how many turns each has had."""

    def __init__(self) -> None:
        self._task: dict[str, str] = {}
        self._turns: Counter[str] = Counter()
        self._else = "starting"

    def note(self, event: Progress) -> None:
        """Take what the run tells."""
        match event:
            case AttemptBegan(task_id, episode_id):
                self._task[episode_id] = task_id
                self._turns[episode_id] = 0  # one that is made again replays its answers
            case TurnEnded(episode_id):
                self._turns[episode_id] += 1
            case AttemptEnded(episode_id=episode_id):
                self._task.pop(episode_id, None)
                self._else = ""
            case Advanced():
                self._else = ""
            case SentAway(attempts):
                self._else = f"{count(attempts, 'attempt')} with workers" if attempts else ""
            case LearningBegan(detail):
                self._task.clear()
                self._else = f"learning {detail}"
            case _:
                pass

    def told(self) -> str:
        """Return it in words: `turn 7 of branch-sales, solving errors-by-hour`."""
        doing = [
            f"turn {turns} of {task}" if (turns := self._turns[name]) else f"solving {task}"
            for name, task in self._task.items()
        ]
        return ", ".join(doing) or self._else


class RunStanding:
    """Counts a run's progress; one thread tells it."""

    def __init__(self, run_key: str, agent_id: str) -> None:
        self.run_key, self.agent_id = run_key, agent_id
        self._began = time.monotonic()
        self._done, self._total = 0, 0
        self._counted = False  # whether the run tells of parts that are done
        self._outcomes: Counter[Outcome] = Counter()
        self._at_work = AtWork()
        self._latest: list[str] = []

    def note(self, event: Progress) -> None:
        """Take what the run tells."""
        self._at_work.note(event)
        match event:
            case RunBegan(tasks=total):
                self._total = total
            case Advanced(done, total):
                self._done, self._total, self._counted = done, total, True
            case AttemptEnded(outcome=outcome):
                self._outcomes[outcome] += 1
            case _:
                pass
        if not isinstance(event, (Advanced, Note)) and (said := sentence(event)):
            self._latest = [*self._latest, said.strip()][-LATEST:]

    def headline(self, spend: Spend, *, over: bool = False) -> str:
        """Return where the run stands, in one line: parts done, attempts, money or tokens, time.

        Args:
            spend: What was spent so far.
            over: Whether the run does nothing more.
        """
        elapsed_s = time.monotonic() - self._began
        done = f"{self._done} of {self._total} done" if self._counted or not over else ""
        told = [done, self._attempts(), spend.told]
        told.append(_minutes(elapsed_s))
        if 0 < self._done < self._total:
            left_s = elapsed_s / self._done * (self._total - self._done)
            told.append(f"about {_minutes(left_s)} to go")
        return " · ".join(filter(None, told))

    def page(self, spend: Spend, *, over: bool = False) -> str:
        """Return the headline with a bar, what is being done, and what was told last.

        Args:
            spend: What was spent so far.
            over: Whether the run does nothing more.
        """
        filled = round(20 * self._done / self._total) if self._total else 0
        bar = f"`{'█' * filled}{'░' * (20 - filled)}` " if self._counted or not over else ""
        lines = "\n".join(f"    {line}" for line in self._latest)
        doing = "over" if over else self._at_work.told()
        return (
            f"# {self.headline(spend, over=over)}\n\n{bar}{doing}\n\n{lines}\n\n"
            f"Run `{self.run_key}` of agent {self.agent_id}.\n"
        )

    def _attempts(self) -> str:
        return ", ".join(
            f"{count} {outcome}" for outcome in Outcome if (count := self._outcomes[outcome])
        )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
