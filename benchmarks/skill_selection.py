"""How long selection takes, method by method, over one library and the same queries.

    python benchmarks/skill_selection.py [--skills 10000] [--queries 50] [--embedded 200]

The library is synthetic. Embedding every skill of it would take minutes and says nothing
about a query, so only `--embedded` skills are embedded and their vectors repeated.
"""

import argparse
import random
import statistics
import time

import numpy as np

from grindstone.skills import Skill, build_index
from grindstone.skills.embedding import EmbeddingsUnavailableError, embedder
from grindstone.skills.selection import SemanticIndex, SkillIndex, essence

_TOPICS = """spreadsheet formula rounding currency archive checksum compiler makefile linker
regression timezone parser encoding delimiter migration rebase submodule certificate
scheduler quota histogram interpolation tokenizer grammar socket firewall container volume
backup index transaction replica cursor median outlier forecast seasonality"""
TOPICS = tuple(_TOPICS.split())
VERBS = ("building", "parsing", "repairing", "converting", "comparing", "merging", "checking")


def library(count: int) -> list[Skill]:
    chance = random.Random(7)
    skills = []
    for at in range(count):
        topics = chance.sample(TOPICS, 6)
        text = f"When {chance.choice(VERBS)} {topics[0]} and {topics[1]} for a {topics[2]}."
        body = f"## Overview\n\n{' '.join(topics)} need care with {' '.join(topics[::-1])}.\n"
        name = f"{topics[0]}-{topics[1]}-{at}"
        skills.append(Skill(name=name, description=text, category=topics[0], body=body))
    return skills


def tasks(count: int) -> list[str]:
    chance = random.Random(11)
    return [
        " ".join(
            f"The {chance.choice(TOPICS)} must follow the {chance.choice(TOPICS)} while "
            f"{chance.choice(VERBS)} each {chance.choice(TOPICS)}."
            for _ in range(12)
        )
        for _ in range(count)
    ]


def row(method: str, index: SkillIndex, built_s: float, queries: list[str]) -> str:
    index.select(queries[0], category="parser", limit=5)
    wall, cpu = [], []
    for query in queries:
        started, used = time.perf_counter(), time.process_time()
        index.select(query, category="parser", limit=5)
        wall.append((time.perf_counter() - started) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    worst = sorted(wall)[int(len(wall) * 0.95)]
    return (
        f"{method:<10}{built_s:>10.2f}{statistics.median(wall):>12.2f}"
        f"{worst:>12.2f}{statistics.median(cpu):>12.2f}"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--skills", type=int, default=10_000)
    options.add_argument("--queries", type=int, default=50)
    options.add_argument("--embedded", type=int, default=200)
    given = options.parse_args()
    skills, queries = library(given.skills), tasks(given.queries)
    print(f"{given.skills} skills, {given.queries} queries, times of a query in ms")
    print(f"{'method':<10}{'index s':>10}{'median':>12}{'95%':>12}{'median cpu':>12}")
    for method in ("keyword", "bm25"):
        started = time.perf_counter()
        index = build_index(skills, method)
        print(row(method, index, time.perf_counter() - started, queries), flush=True)
    try:
        started = time.perf_counter()
        some = embedder().embed([essence(skill) for skill in skills[: given.embedded]])
    except EmbeddingsUnavailableError as error:
        print(f"semantic  not measured: {error}")
        return
    vectors = np.resize(some, (len(skills), some.shape[1]))
    semantic = SemanticIndex.of(sorted(skill.name for skill in skills), vectors)
    print(row("semantic", semantic, time.perf_counter() - started, queries))


if __name__ == "__main__":
    main()
