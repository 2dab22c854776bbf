"""Readiness of many agents over many episodes, from parquet: seconds and peak memory.

    python benchmarks/readiness.py [episodes] [agents]

Ten million episodes of ten thousand agents are to take under 10 s and 4 GB. The episodes state
their scores; a twentieth has checks, a hundredth corrections and ratings in tables beside.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from grindstone.graduation.evidence.measure import Tables, measure, records
from grindstone.graduation.evidence.readiness import assess
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy

RUNS = 40


def make(folder: Path, episodes: int, agents: int) -> Tables:
    rng = np.random.default_rng(0)
    size = -(-episodes // RUNS)
    for run in range(RUNS):
        first, last = run * size, min(episodes, (run + 1) * size)
        count = max(0, last - first)
        plain = {
            "purpose": "grind",
            "maturity": "STUDENT",
            "title": "t",
            "metadata": "{}",
            "category": "c",
            "difficulty": "easy",
            "task_digest": "d",
            "profile": "terminus2",
            "run_key": f"run-{run}",
        }
        times = rng.integers(1_700_000_000_000_000, 1_760_000_000_000_000, count)
        pl.DataFrame(
            {
                "episode_id": [f"{number:032x}" for number in range(first, last)],
                "agent_id": [f"agent-{n}" for n in rng.integers(0, agents, count)],
                "outcome": rng.choice(["passed", "failed"], count, p=[0.9, 0.1]),
                "rehearsal": rng.random(count) < 0.01,
                "confidence": rng.random(count),
                "constitutional_score": rng.random(count),
                "human_intervention_count": (rng.random(count) < 0.1).astype(int),
                "started_at": pl.Series(times).cast(pl.Datetime("us", "UTC")),
            }
        ).with_columns(
            *(pl.lit(value).alias(name) for name, value in plain.items()),
            *(pl.lit([], pl.List(pl.String)).alias(name) for name in ("tags", "topics")),
        ).write_parquet(folder / f"{run:03d}.parquet")
    found = pl.scan_parquet(folder / "*.parquet")
    key = found.select("run_key", "episode_id")
    checked, touched = key.head(episodes // 20).collect(), key.head(episodes // 100).collect()
    return Tables(
        found,
        touched.lazy(),
        checked.lazy().with_columns(pl.lit("p").alias("pack_digest"), pl.lit(0.97).alias("score")),
        touched.lazy().with_columns(pl.lit(0.9).alias("rating")),
        checked.lazy().with_columns(
            pl.lit("s").alias("skill"),
            pl.lit(True).alias("loaded"),
            pl.lit(False).alias("followed"),
        ),
    )


def main(episodes: int = 10_000_000, agents: int = 10_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tables = make(Path(folder), episodes, agents)
        before_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        started = time.perf_counter()
        policy = Policy(name="default")
        found = records(measure(tables, policy, {}, latest=10, digests=["p"]))
        ready = [
            assess(record, policy, current=Level.STUDENT, target=Level.INTERN)
            for record in found.values()
        ]
        took_s = time.perf_counter() - started
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{len(ready)} agents over {episodes:,} episodes: {took_s:.1f} s, peak {peak_gb:.2f} GB")
    print(f"(before it started: {before_gb:.2f} GB)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
