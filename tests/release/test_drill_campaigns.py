"""A/A campaigns under attack: killed at random, and the account of looks is right to the query.

No change of these campaigns does anything: the evolver writes a skill that nobody reads, and the
agent passes by a coin. `make drills` makes twenty campaigns of ten gates in one home, and the suite
none (GRINDSTONE_DRILL_CAMPAIGNS, GRINDSTONE_DRILL_GATES).
"""

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.responses import Response
from support.cli_runs import Command
from support.teaching import evolve, taught
from support.wiretap import Body, Wiretap, role_of, spoken

from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import ExposureRow, ReleaseRow, TaskPartRow
from grindstone.ledger.tables.runs import GateDecisionRow
from grindstone.records import Episode, Purpose
from grindstone.resources import bundled
from grindstone.workspace import Workspace

CAMPAIGNS = int(os.environ.get("GRINDSTONE_DRILL_CAMPAIGNS", "1"))
GATES = int(os.environ.get("GRINDSTONE_DRILL_GATES", "1"))

pytestmark = [
    pytest.mark.drill,
    *(pytest.mark.server, pytest.mark.slow),
    pytest.mark.timeout(400 + 600 * (CAMPAIGNS * GATES - 1)),
]

FEW = [
    *("crlf-kit", "deleted-branch", "dropped-stash"),
    *("visitor-report", "lost-commit", "branch-sales"),
]
TASKS = FEW if CAMPAIGNS == 1 else sorted(path.name for path in bundled("examples/tasks").iterdir())
ALPHA, COIN = 0.45, 0.4  # few tasks say nothing at less; the coin's chance to be played well
LONG_S = 240.0 + 120 * GATES  # a command takes no longer on a busy machine
KILLS = 2  # of each command, before it is let run to its end


NAME = "sourdough-bread"
SKILL = f"""---
name: {NAME}
description: When dough rises too long or too short, by temperature and flour, in batch {{number}}.
---

## Steps
```bash
echo "{{number}} hours"
```

## Verification
- Press the dough with a finger.
"""


class Coin:
    """A model that works as the rehearsal does, or gives up at once, by a coin."""

    def __init__(self, seed: int) -> None:
        self.draw, self.notes = random.Random(seed), 0

    def __call__(self, body: Body) -> Response | None:
        role, first = role_of(body), len(body["messages"]) == 1
        if role == "solver" and first and self.draw.random() > COIN:
            give_up = {"type": "tool_use", "id": "toolu_end", "name": "submit"}
            return spoken([give_up | {"input": {"message": "I give up."}}], "tool_use")
        if role != "evolver":
            return None
        if not first:
            return spoken([{"type": "text", "text": "Done."}])
        self.notes += 1
        text = SKILL.format(number=self.notes)
        command = f"mkdir -p skills/{NAME} && cat > skills/{NAME}/SKILL.md <<'END'\n{text}END"
        use = {"type": "tool_use", "id": "toolu_1", "name": "workspace_bash"}
        return spoken([use | {"input": {"command": command}}], "tool_use")


class Attacked:
    """Commands on one home that are killed at random and started again."""

    def __init__(self, home: Path, url: str, seed: int) -> None:
        self.home, self.draw = home, random.Random(seed)
        self.environment = {"GRINDSTONE_REHEARSAL_URL": url}

    async def run(self, verb: str, agent: str, *more: str, booked: int | None = None) -> int | None:
        """Run a command to its end; once it is also killed as soon as its look is booked."""
        tasks = [word for task in TASKS for word in ("--task-ids", task)]
        common = ["--work-dir", str(self.home), "--model-id", "rehearsal", "--agent-id", agent]
        common += ["--native-profile", "strands", "--max-workers", "4"]
        words = [verb, *common, *tasks, *more]

        def start() -> Command:
            return Command(words, self.environment, self.home.parent / "log.txt")

        def attack() -> int | None:
            for number in range(KILLS):
                command, until = start(), self._moment()
                if number == 0 and booked is not None:
                    until = self._more_than(booked)
                if (code := command.wait(until, end_s=LONG_S)) is not None:
                    return code
                command.kill()
                command.wait()
            command = start()
            return command.wait(end_s=LONG_S)

        return await asyncio.to_thread(attack)

    def exposures(self) -> list[ExposureRow]:
        """Return the looks that are booked."""
        return sorted(Ledger(self.home).rows(ExposureRow), key=lambda row: row.at)

    def _moment(self) -> Callable[[], bool]:
        moment = time.monotonic() + self.draw.uniform(1, 5 + 5 * GATES)
        return lambda: time.monotonic() > moment

    def _more_than(self, booked: int) -> Callable[[], bool]:
        folder = self.home / "ledger" / "exposures"
        return lambda: len(list(folder.glob("*/*.parquet"))) > booked


def workspace_of(home: Path, agent: str) -> None:
    folder = home / "agents" / agent / "workspace"
    evolve(Workspace.create(folder, bundled("seed_workspaces/terminal")), taught)


async def test_the_account_of_looks_is_right_to_the_query(
    tmp_path: Path, tap: Wiretap, prefect_server: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "ERROR")
    home, ledger = tmp_path / "home", Ledger(tmp_path / "home")
    home.mkdir()
    tap.instead = Coin(seed=11)
    attacked = Attacked(home, tap.url, seed=12)
    sealed: set[str] = set()
    told: dict[str, int | None] = {}  # by the tree that was asked about
    for number in range(1, CAMPAIGNS + 1):
        agent, before = f"campaign-{number}", attacked.exposures()
        workspace_of(home, agent)
        seen = len(tap.bodies)
        search = ["--trajectory-only", "false", "--sealed-ratio", "0.5", "--holdout-ratio", "0.17"]
        search += ["--max-cycles", str(GATES), "--egl-window", str(GATES + 1), "--batch-size", "2"]
        code = await attacked.run("adapt", agent, "--run-key", f"search-{number}", *search)
        assert code == 0, (attacked.home.parent / "log.txt").read_text()[-3000:]
        parts = ledger.rows(TaskPartRow, f"search-{number}")
        sealed |= {row.task_id for row in parts if row.part == "sealed"}
        assert len(sealed) == len(TASKS) // 2, "the same tasks stay sealed"
        asked = json.dumps(tap.bodies[seen:])
        for task_id in sealed:
            instruction = bundled("examples/tasks") / task_id / "instruction.md"
            text = max(instruction.read_text().splitlines(), key=len)
            assert task_id not in asked
            assert json.dumps(text)[1:-1] not in asked
        answer = ["--trials", "1", "--alpha", str(ALPHA), "--baseline", "seed"]
        tree = Workspace.open(home / "agents" / agent / "workspace").snapshot().tree
        if tree in told:  # two campaigns that kept the same: the same question
            assert await attacked.run("release", agent, *answer) == told[tree]
            assert attacked.exposures() == before, "the same question costs nothing"
            continue
        code = await attacked.run("release", agent, *answer, booked=len(before))
        told[tree] = code
        after = attacked.exposures()
        nth = len(before) + 1
        level = ALPHA / (nth * (nth + 1))
        if 2.0 ** -len(sealed) > level:
            assert (code, after) == (1, before), "a refusal spends nothing"
            continue
        assert code in (0, 1), (attacked.home.parent / "log.txt").read_text()[-3000:]
        assert len(after) == nth, "a look that was killed is neither lost nor booked again"
        assert (after[-1].nth, after[-1].agent_id) == (nth, agent)
        assert after[-1].level == pytest.approx(level)
        [said] = [row for row in ledger.rows(ReleaseRow) if row.agent_id == agent]
        assert said.claimed == (said.p_better <= said.level)
        assert await attacked.run("release", agent, *answer) == (0 if said.claimed else 1)
        assert attacked.exposures() == after, "the same question costs nothing"
    assert sum(row.level for row in attacked.exposures()) <= ALPHA
    gates = Counter(row.run_key for row in ledger.rows(GateDecisionRow))
    assert set(gates) == {f"search-{number}" for number in range(1, CAMPAIGNS + 1)}
    looked = [row for row in ledger.rows(Episode) if row.purpose is Purpose.RELEASE]
    assert len(looked) == 2 * len(sealed) * len(attacked.exposures()), "no attempt lost or twice"
