"""A review of many agents, from ledger and audit trail to decisions: seconds.

    python benchmarks/review.py [agents] [episodes per agent]

Each agent has one capability and uses two skills; every tenth is SUPERVISED and may lose it.
The first review also writes what skills and capabilities have earned into the audit trail;
the second finds nothing new, as nearly every five-minute review does.
"""

import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from grindstone.graduation import GraduationService
from grindstone.graduation.rules.policy import Policy
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.autonomy import ComplianceRow
from grindstone.records import Episode, Outcome, Purpose

RUNS = 20
START = datetime(2026, 1, 5, tzinfo=UTC)


def fill(home: Path, digest: str, agents: int, episodes: int) -> None:
    ledger = Ledger(home)
    for run in range(RUNS):
        made, checks, uses = [], [], []
        for number in range(run, agents * episodes, RUNS):
            agent, key, at = f"agent-{number % agents}", f"{number:032x}", START
            at += timedelta(minutes=number // agents)
            outcome = Outcome.FAILED if number % 13 == 0 else Outcome.PASSED
            made.append(
                Episode(
                    episode_id=key,
                    run_key=f"run-{run}",
                    agent_id=agent,
                    purpose=Purpose.ROUTE if number % 3 == 0 else Purpose.GRIND,
                    task_id="t",
                    task_digest="d",
                    category="builds",
                    difficulty="easy",
                    outcome=outcome,
                    started_at=at,
                    ended_at=at,
                )
            )
            checks.append(
                ComplianceRow(
                    episode_id=key, agent_id=agent, pack="conduct", pack_digest=digest, score=1.0
                )
            )
            uses += [
                SkillUseRow(episode_id=key, skill=skill, selection_method="all", loaded=True)
                for skill in ("one", "two")
            ]
        for rows in (uses, checks, made):
            ledger.append(rows, run_key=f"run-{run}")


async def measure(home: Path, agents: int, episodes: int) -> None:
    service = GraduationService(home, policies=[Policy(name="default")])
    fill(home, service.registry.packs["conduct"].digest, agents, episodes)
    for number in range(0, agents, 10):
        await service.enrol_agent(
            f"agent-{number}",
            "SUPERVISED",
            by="Grace",
            second="Linus",
            reason="benchmark",
            since=START,
        )
    for name in ("first", "second"):
        known, started = len(service.registry.chain.events()), time.perf_counter()
        found = await service.review()
        took_s = time.perf_counter() - started
        events = len(service.registry.chain.events()) - known
        print(f"{name} review of {len(found.decisions)} agents: {took_s:.1f} s, {events} events")


def main(agents: int = 2_000, episodes: int = 50) -> None:
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(measure(Path(home), agents, episodes))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
