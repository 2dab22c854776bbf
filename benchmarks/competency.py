"""How fast competency is scored and measured, and in how much memory.

Scores a thousand domains that all depend on one another, then generates episodes of ten
thousand agents as the ledger keeps them and measures every agent in every domain.

    python benchmarks/competency.py                      10 million rows
    python benchmarks/competency.py --rows 1000000
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from grindstone.competency import CompetencyEval, DependencyGraph
from grindstone.ledger import Ledger
from grindstone.ledger.row import table_of
from grindstone.records import Episode

ROWS_PER_RUN = 500_000
CATEGORIES = 12


def dense_score(n_domains: int, repeats: int = 15) -> tuple[float, float, float]:
    """Return seconds: graph from pairs, score with a ready graph (median), actions with it."""
    chance = np.random.default_rng(7)
    names = [f"domain-{k}" for k in range(n_domains)]
    pairs = list(combinations(names, 2))
    weights = dict(zip(pairs, chance.random(len(pairs)).tolist(), strict=True))
    levels = dict(zip(names, (10 * chance.random(n_domains)).tolist(), strict=True))
    began = time.perf_counter()
    graph = DependencyGraph(names, weights)
    built = time.perf_counter() - began
    scored, advised = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        result = CompetencyEval(levels, 10, graph).run()
        scored.append(time.perf_counter() - began)
        began = time.perf_counter()
        result.actions(1.0)
        advised.append(time.perf_counter() - began)
    return built, statistics.median(scored), statistics.median(advised)


def generate(home: Path, rows: int, agents: int) -> float:
    """Write episodes as runs of one part each; return megabytes on disk."""
    schema = table_of(Episode).schema()
    chance = np.random.default_rng(7)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number, offset in enumerate(range(0, rows, ROWS_PER_RUN)):
        size = min(ROWS_PER_RUN, rows - offset)
        agent = chance.integers(0, agents, size)
        category = chance.integers(0, CATEGORIES, size)
        skill = 0.15 + 0.7 * ((agent * 31 + category * 17) % 97) / 97
        outcome = np.where(chance.random(size) < skill, "passed", "failed")
        outcome = np.where(chance.random(size) < 0.03, "error", outcome)
        minutes = pl.Series(chance.integers(0, 200_000, size))
        data = {
            "episode_id": pl.int_range(offset, offset + size, eager=True).cast(pl.String),
            "run_key": pl.repeat(f"run-{number}", size, eager=True),
            "agent_id": pl.Series(agent).cast(pl.String),
            "purpose": pl.repeat("grind", size, eager=True),
            "arm": pl.repeat("", size, eager=True),
            "profile": pl.repeat("strands", size, eager=True),
            "category": "category-" + pl.Series(category).cast(pl.String),
            "workspace_tree": pl.Series(agent).cast(pl.String),
            "outcome": pl.Series(outcome),
            "ended_at": pl.select(pl.lit(start) + pl.duration(minutes=minutes)).to_series(),
        }
        blank = {
            name: pl.repeat(None, size, eager=True, dtype=kind)
            for name, kind in schema.items()
            if name not in data
        }
        frame = pl.DataFrame(
            {name: (data | blank)[name] for name in schema.names()}, schema=schema, strict=False
        )
        folder = Ledger(home).folder("episodes", f"run-{number}")
        folder.mkdir(parents=True)
        frame.write_parquet(folder / f"{number:064x}.parquet")
    return sum(path.stat().st_size for path in home.rglob("*.parquet")) / 1e6


MEASURE = """
import resource, sys, time
from pathlib import Path
began = time.perf_counter()
from grindstone.competency import measure
from grindstone.ledger import Ledger
import scipy.special
loaded = time.perf_counter() - began
began, spent = time.perf_counter(), time.process_time()
half_life = float(sys.argv[2]) or None
found = measure(Ledger(Path(sys.argv[1])).scan("episodes"), half_life_days=half_life)
took, spent = time.perf_counter() - began, time.process_time() - spent
agents = found["agent_id"].n_unique()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(loaded, took, spent, peak, agents, found.height)
"""


def measured(home: Path, half_life_days: float) -> list[float]:
    """Measure in a process of its own: import s, s, CPU s, peak GB, agents, rows."""
    command = [sys.executable, "-c", MEASURE, str(home), str(half_life_days)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--domains", type=int, default=1_000)
    options = parser.parse_args()
    table = Table("what", "result", "aim")
    built, scored, advised = dense_score(options.domains)
    pairs = options.domains * (options.domains - 1) // 2
    table.add_row(f"graph of {pairs:,} pairs, made once", f"{built * 1e3:.0f} ms", "")
    table.add_row(f"{options.domains:,} domains scored", f"{scored * 1e3:.1f} ms", "50 ms")
    table.add_row("what to train, from it", f"{advised * 1e3:.1f} ms", "")
    home = Path(tempfile.mkdtemp(prefix="grindstone-competency-", dir="/tmp"))
    try:
        size = generate(home, options.rows, options.agents)
        table.add_row(f"ledger of {options.rows:,} episodes", f"{size:.0f} MB", "")
        for name, half_life in (("all alike", 0.0), ("with a half-life", 30.0)):
            loaded, took, spent, peak, agents, height = measured(home, half_life)
            table.add_row(
                f"{agents:,.0f} agents measured, {height:,.0f} domains, {name}",
                f"{took:.2f} s (CPU {spent:.2f} s), {peak:.2f} GB at most; {loaded:.1f} s to load",
                "5 s, 4 GB",
            )
    finally:
        shutil.rmtree(home)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    table.caption = f"generating took {own:.2f} GB at most"
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
