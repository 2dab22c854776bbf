"""Which tasks are sealed: whole clusters, once and for all, and never one that has taught."""

from pathlib import Path

import pytest

from grindstone.attempt.sealing import Parted, part_tasks, releasable
from grindstone.benchmark.dataset import split, units_of
from grindstone.benchmark.task import Task
from grindstone.errors import InputError
from grindstone.gate import Pair, compare_paired
from grindstone.ledger import Ledger
from grindstone.settings import AdaptiveSettings, CompareSettings, GrindSettings


def task(task_id: str, *, cluster: str = "", text: str = "", category: str = "c") -> Task:
    return Task(
        task_id=task_id,
        path=Path("/nowhere") / task_id,
        digest=f"digest {task_id}",
        environment_digest="",
        instruction=text or f"Do {task_id}.",
        category=category,
        metadata={"cluster": cluster} if cluster else {},
    )


TASKS = tuple(task(f"t{n:02}", category="ab"[n % 2]) for n in range(20))


def part(home: Path, tasks=TASKS, key: str = "run", kind: str = "adapt", **more) -> Parted:
    settings = AdaptiveSettings.model_validate({"work_dir": home, "sealed_ratio": 0.5} | more)
    return part_tasks(kind, settings, key, tasks)


def ids(tasks) -> set[str]:
    return {each.task_id for each in tasks}


def test_a_share_of_every_category_is_sealed_and_a_resumed_run_has_the_same(tmp_path: Path):
    found = part(tmp_path)
    assert [each.category for each in found.sealed].count("a") == 5
    assert len(found.sealed) == 10
    assert not ids(found.open) & ids(found.sealed)
    assert part(tmp_path).sealed == found.sealed
    assert found.notes == (
        "10 sealed tasks find a gain of 45 points four times in five "
        "(3 trials each, a release at a level of 2.5%)",
    )


def test_what_is_sealed_stays_so_for_every_run_of_the_home(tmp_path: Path):
    sealed = part(tmp_path).sealed
    for key, more in {"seed": {"split_seed": 7}, "none": {"sealed_ratio": 0.0}}.items():
        assert part(tmp_path, key=key, **more).sealed == sealed, key
    compare = CompareSettings(work_dir=tmp_path)
    assert part_tasks("compare", compare, "compare", TASKS).sealed == sealed
    assert ids(releasable(Ledger(tmp_path), TASKS)) == ids(sealed)
    copies = [task(f"copy-{n}", text=each.instruction.upper()) for n, each in enumerate(sealed)]
    with pytest.raises(InputError, match="are all sealed"):
        part(tmp_path, copies, "copies", sealed_ratio=0.0)


def test_what_is_sealed_or_has_taught_is_known_in_other_words(tmp_path: Path):
    tasks = [each.model_copy(update={"twins": (f"tests {each.task_id}",)}) for each in TASKS]
    found = part(tmp_path, tasks)
    worded = [
        each.model_copy(
            update={
                "task_id": f"worded-{n}",
                "digest": f"worded {n}",
                "instruction": f"Please {n}.",
            }
        )
        for n, each in enumerate(tasks)
    ]
    again = part(tmp_path, worded, "worded", sealed_ratio=0.9, holdout_ratio=0.05)
    assert {each.twins for each in again.sealed} == {each.twins for each in found.sealed}


def test_what_has_taught_is_never_sealed_under_whatever_name(tmp_path: Path):
    grind = GrindSettings(work_dir=tmp_path)
    part_tasks("grind", grind, "first", TASKS[:10])
    renamed = [task(f"copy-{n}", text=f"do  {each.task_id}") for n, each in enumerate(TASKS)]
    found = part(tmp_path, renamed, "second", sealed_ratio=0.9, holdout_ratio=0.05)
    assert ids(found.sealed) <= {f"copy-{n}" for n in range(10, 20)}
    assert found.notes[-1] == "10 of 20 tasks, or copies of them, have taught before: not sealed"
    assert not ids(releasable(Ledger(tmp_path), TASKS)) & ids(TASKS[:10])


def test_too_few_tasks_are_said_first_and_the_run_goes_on(tmp_path: Path):
    found = part(tmp_path, TASKS[:4])
    assert len(found.sealed) == 2
    assert found.notes[0].startswith("2 sealed tasks: too few to claim any gain of this run")


def test_a_run_without_sealed_tasks_says_that_it_can_claim_nothing(tmp_path: Path):
    [said] = part(tmp_path, sealed_ratio=0.0).notes
    assert said.startswith("No task is sealed")
    assert "no gain of it can be claimed" in said
    assert not part_tasks("compare", CompareSettings(work_dir=tmp_path), "look", TASKS).notes


def test_tasks_of_a_cluster_and_copies_are_on_one_side(tmp_path: Path):
    tasks = [task(f"{repo}-{n}", cluster=repo) for repo in "pqrstuvw" for n in range(3)]
    copy = task("copy-of-p", text=tasks[0].instruction)
    found = part(tmp_path, [*tasks, copy])
    assert {each.cluster for each in found.sealed}.isdisjoint(each.cluster for each in found.open)
    assert ("copy-of-p" in ids(found.sealed)) == ("p-0" in ids(found.sealed))
    assert len(units_of([*tasks, copy])) == 8
    assert "12 sealed tasks in 4 clusters" in found.notes[0].replace("13", "12")
    train, held = split(tasks, holdout_ratio=0.5, seed=1)
    assert {each.cluster for each in train}.isdisjoint(each.cluster for each in held)


def test_the_cluster_is_the_unit_of_the_test():
    alone = [Pair(task_id=f"t{n}", baseline=0, candidate=1) for n in range(6)]
    assert compare_paired(alone).p_better == pytest.approx(2**-6)
    together = [each.model_copy(update={"cluster": "one"}) for each in alone]
    seen = compare_paired(together)
    assert (seen.n_tasks, seen.n_clusters, seen.wins, seen.p_better) == (6, 1, 1, 0.5)
    mixed = [*together, Pair(task_id="other", baseline=1, candidate=0)]
    assert compare_paired(mixed).difference == 0.0, "a cluster counts once, however many tasks"
