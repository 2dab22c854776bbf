import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grindstone.benchmark.dataset import select, split, units_of
from grindstone.benchmark.loading import load_task
from grindstone.benchmark.task import Task
from grindstone.errors import InputError


def task(task_id, category="c", difficulty="easy"):
    return Task(
        task_id=task_id,
        path=Path("/nowhere") / task_id,
        digest="",
        environment_digest="",
        instruction=task_id,
        category=category,
        difficulty=difficulty,
    )


def ids(tasks):
    return [found.task_id for found in tasks]


collections = st.lists(
    st.tuples(st.text("abcdef0123", min_size=1, max_size=6), st.sampled_from("PQRS")),
    unique_by=lambda pair: pair[0],
    min_size=0,
    max_size=40,
).map(lambda pairs: [task(name, category) for name, category in pairs])
ratios = st.floats(0, 0.95)
seeds = st.integers(0, 5)


@given(collections, ratios, seeds)
def test_every_task_is_on_one_side(tasks, ratio, seed):
    train, holdout = split(tasks, holdout_ratio=ratio, seed=seed)
    assert sorted(ids(train) + ids(holdout)) == sorted(ids(tasks))
    assert ids(train) == sorted(ids(train))


@given(collections, ratios, seeds)
def test_the_ratio_is_kept(tasks, ratio, seed):
    held = len(split(tasks, holdout_ratio=ratio, seed=seed).holdout)
    wanted = math.floor(ratio * len(tasks) + 0.5)
    if ratio > 0 and len(tasks) >= 2:
        wanted = min(max(wanted, 1), len(tasks) - 1)
    assert held == wanted


@given(collections, ratios, seeds, st.randoms())
def test_the_order_of_the_tasks_does_not_matter(tasks, ratio, seed, random):
    shuffled = list(tasks)
    random.shuffle(shuffled)
    assert split(shuffled, holdout_ratio=ratio, seed=seed) == split(
        tasks, holdout_ratio=ratio, seed=seed
    )


@given(collections, ratios, seeds)
def test_every_category_that_can_be_is_on_both_sides(tasks, ratio, seed):
    train, holdout = split(tasks, holdout_ratio=ratio, seed=seed)
    sizes = Counter(found.category for found in tasks)
    splittable = {name for name, size in sizes.items() if size >= 2}
    if len(holdout) >= len(splittable):
        assert splittable <= {found.category for found in holdout}
    singles = len(sizes) - len(splittable)
    if len(train) >= len(splittable) and len(holdout) <= len(tasks) - len(splittable) - singles:
        assert splittable <= {found.category for found in train}


@given(collections, ratios, seeds, st.sampled_from("PQRS"))
def test_a_task_more_moves_few_others(tasks, ratio, seed, category):
    before = set(ids(split(tasks, holdout_ratio=ratio, seed=seed).holdout))
    more = [*tasks, task("zz-new", category)]
    after = set(ids(split(more, holdout_ratio=ratio, seed=seed).holdout))
    # At most one task per category changes sides, and in the new task's own one more.
    assert len((before ^ after) - {"zz-new"}) <= len({found.category for found in more}) + 1


def test_another_seed_is_another_split():
    tasks = [task(f"t{number}") for number in range(50)]
    one, other = (split(tasks, holdout_ratio=0.2, seed=seed) for seed in (1, 2))
    assert len(one.holdout) == len(other.holdout) == 10
    assert one.holdout != other.holdout


def test_a_split_once_made_stays():
    tasks = [task(f"t{number}", "ab"[number % 2]) for number in range(10)]
    assert ids(split(tasks, holdout_ratio=0.2, seed=42).holdout) == ["t0", "t7"]


MATERIAL = {"environment/table.csv": "a,b\n40,2\n"}
OF_ITS_OWN = {
    "instruction.md": "Apples, pears and plums by orchard and hamlet; barrels into /app/answer.\n",
    "tests/test.sh": "#!/bin/bash\n# apples, pears and plums by orchard and hamlet, in barrels\n",
    "solution/solve.sh": "#!/bin/bash\necho 42 > /app/answer\n",
}
OTHER_WORDS = {"instruction.md": "How many barrels? A hamlet's orchard has apples, plums, pears.\n"}
OTHER_FILES = {"environment/table.csv": "a,b\n41,1\n"}
OTHER_TESTS = {"tests/test.sh": "#!/bin/bash\necho 0 > /logs/verifier/reward.txt\n"}
OTHER_SOLUTION = {"solution/solve.sh": "#!/bin/bash\nprintf 42 > /app/answer\n"}
OTHER_VARIABLE = {"task.toml": "[environment.env]\nVARIANT = 2\n"}
NO_SOLUTION = {"solution/solve.sh": None}
OTHER_IMAGE = {"environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /srv\n"}


@pytest.mark.parametrize(
    ("parts", "units"),
    [
        ({}, 1),
        (OTHER_FILES, 1),
        (OTHER_SOLUTION, 1),
        (OTHER_TESTS, 2),
        (OTHER_VARIABLE, 2),
        (OTHER_FILES | OTHER_SOLUTION, 2),
        (OTHER_FILES | NO_SOLUTION, 2),
    ],
)
def test_the_same_task_in_other_words_is_one(write_task, parts, units):
    """The same tests, of the same files or solved by the same solution, ask the same."""
    one = load_task(write_task("answer", **MATERIAL | OF_ITS_OWN))
    other = load_task(write_task("other", **MATERIAL | OF_ITS_OWN | OTHER_WORDS | parts))
    assert len(units_of([one, other])) == units
    assert one.fingerprint != other.fingerprint, "no word of it need be the same"


@pytest.mark.parametrize(
    ("parts", "units"),
    [({}, 1), (OTHER_SOLUTION, 1), (OTHER_IMAGE, 1), (OTHER_TESTS, 2), (OTHER_VARIABLE, 2)],
)
def test_a_copy_without_files_is_known_by_tests_that_speak_of_it(write_task, parts, units):
    """An image alone is nothing to work on; tests that name what is asked are one task's own."""
    one = load_task(write_task("answer", **OF_ITS_OWN))
    other = load_task(write_task("other", **OF_ITS_OWN | OTHER_WORDS | parts))
    assert len(units_of([one, other])) == units


def test_tasks_of_the_same_files_and_tests_are_one_whatever_these_say(write_task):
    tasks = [
        load_task(write_task(f"q{n}", **MATERIAL | {"instruction.md": f"Words {n}: sum it.\n"}))
        for n in range(2)
    ]
    assert len(units_of(tasks)) == 1


@pytest.mark.parametrize("data", [False, True], ids=["no files", "a data set each"])
def test_questions_with_one_answer_are_not_one_task(write_task, data):
    """A checker that would do for any question, and an answer that many have, tell nothing."""
    told = "Is {n} even? Write exactly one uppercase letter into the file /app/answer, no spaces.\n"
    check = "#!/bin/bash\n# exactly one uppercase letter, no spaces\ngrep -qx Y /app/answer\n"
    tasks = [
        load_task(
            write_task(
                f"q{n}",
                **{"instruction.md": told.format(n=n), "tests/test.sh": check},
                **{"environment/table.csv": f"a,b\n{n},1\n"} if data else {},
            )
        )
        for n in range(3)
    ]
    assert len(units_of(tasks)) == 3


@pytest.mark.parametrize("ratio", [-0.1, 1.0, float("nan")])
def test_an_unusable_ratio(ratio):
    with pytest.raises(InputError, match="holdout_ratio"):
        split([task("a")], holdout_ratio=ratio, seed=0)


TASKS = [
    task("log-a", "logs", "easy"),
    task("log-b", "logs", "hard"),
    task("git-a", "vcs", "easy"),
]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({}, ["git-a", "log-a", "log-b"]),
        ({"limit": 2}, ["git-a", "log-a"]),
        ({"categories": ["LOGS"]}, ["log-a", "log-b"]),
        ({"categories": ["logs"], "difficulties": ["hard"]}, ["log-b"]),
        ({"ids": ["log-*"]}, ["log-a", "log-b"]),
        ({"ids": ["git-a", "log-b"]}, ["git-a", "log-b"]),
        ({"ids": [" git-a", "log-b\t"], "categories": [" vcs "]}, ["git-a"]),
    ],
)
def test_filters(filters, left):
    assert ids(select(TASKS, **filters)) == left


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"categories": ["sums"]}, "category: no task has 'sums'; expected one of logs, vcs"),
        ({"ids": ["x*"]}, "task_ids: no task has"),
        ({"ids": [" "]}, "task_ids: no task has ' '"),
        ({"categories": ["vcs"], "difficulties": ["hard"]}, "difficulty: no task has 'hard'"),
        ({"limit": -1}, "limit"),
    ],
)
def test_filters_that_match_nothing(filters, message):
    with pytest.raises(InputError, match=message.replace("*", r"\*")):
        select(TASKS, **filters)


@given(ratios, seeds, st.integers(2, 12))
def test_copies_and_clusters_are_on_one_side_whole(ratio, seed, n):
    originals = [task(f"t{number}") for number in range(n)]
    copies = [one.model_copy(update={"task_id": f"copy-{one.task_id}"}) for one in originals]
    renamed = copies[0].model_copy(update={"instruction": " T0!", "metadata": {"cluster": "own"}})
    related = [
        task(f"r{number}").model_copy(update={"metadata": {"cluster": "own"}}) for number in (1, 2)
    ]
    tasks = [*originals, renamed, *copies[1:], *related]
    train, _ = split(tasks, holdout_ratio=ratio, seed=seed)
    there = set(ids(train))
    for one in originals:
        assert (one.task_id in there) == (f"copy-{one.task_id}" in there)
    assert len({name in there for name in ("t0", "copy-t0", "r1", "r2")}) == 1
