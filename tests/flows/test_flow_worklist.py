"""What is tried again, what stops a run and what is left without a score."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.attempt_specs import spec_of

from grindstone.attempt.run import error_episode
from grindstone.benchmark import load_task
from grindstone.errors import POLICIES, BudgetExceededError, Cause, InfrastructureError, InputError
from grindstone.flows.attempt import PlannedAttempt
from grindstone.flows.dispatch.worklist import Worklist
from grindstone.home import RunFolder
from grindstone.records import Outcome
from grindstone.runs.slicing import MOST_BYTES
from grindstone.runs.steered import Steering
from grindstone.settings import GrindSettings
from grindstone.steering import Order, give_order

CEILING = BudgetExceededError("it is spent", ceiling="max_tokens_total", limit=10)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> list[PlannedAttempt]:
    home = tmp_path_factory.mktemp("home")
    spec = spec_of(GrindSettings(work_dir=home, native_profile="oracle", run_key="listed"))
    task = load_task(spec.task_dir)
    specs = [spec.model_copy(update={"trial": number}) for number in range(3)]
    return [PlannedAttempt(each, task) for each in specs]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return GrindSettings(work_dir=tmp_path).home.run("listed")


@pytest.fixture
def steering(folder: RunFolder) -> Steering:
    return Steering(folder)


@pytest.fixture
def todo(wanted: list[PlannedAttempt], steering: Steering) -> Worklist:
    return Worklist(wanted, steering)


Give = Callable[[Order], Awaitable[None]]


@pytest.fixture
def order(folder: RunFolder, steering: Steering) -> Give:
    async def give(asked: Order) -> None:
        give_order(folder, asked, by="ann@desk", via="cli")
        await steering.look()

    return give


def test_what_is_lost_is_tried_as_often_as_the_table_of_errors_says(todo: Worklist):
    tries = POLICIES[Cause.WORKER_LOST].tries
    for number in range(1, tries + 1):
        [(name, item)] = todo.take([next(iter(todo.waiting))]).items()
        todo.waiting = {}
        lost = todo.end({name: item}, RuntimeError("its worker fell silent"))
        assert bool(todo.waiting) is (number < tries)
    [given_up] = lost
    assert given_up.item is item
    assert given_up.error.cause is Cause.WORKER_LOST
    assert todo.stopped_by is None


def test_what_was_lost_twice_is_tried_alone_and_joins_no_others(todo: Worklist):
    first, second, third = todo.waiting
    means = [item.spec.means for item in todo.waiting.values()]
    for _ in range(2):
        todo.end(todo.take([first, second]), RuntimeError("its worker fell silent"))
    assert list(todo.next(3)) == [third]
    todo.take([third])
    assert todo.is_alone([first, third]) and not todo.is_alone([third])
    assert todo.next(3, means) == {}
    assert list(todo.take(todo.next(3))) == [first]
    assert list(todo.take(todo.next(3))) == [second]


async def test_what_a_ceiling_stopped_waits_again_once_that_one_is_raised(
    todo: Worklist, order: Give
):
    await order(Order(max_tokens_total=10))
    first = todo.take(todo.next(1))
    assert todo.end(first, CEILING) == []
    todo.lift()
    assert (todo.waiting, todo.open, todo.stopped_by) == ({}, False, CEILING)
    await order(Order(max_tokens_total=20))
    todo.lift()
    assert len(todo.waiting) == 3
    assert todo.stopped_by is None


def test_a_fault_of_what_was_given_outlasts_a_ceiling(todo: Worklist):
    fault = InputError("task.toml", "is no task", "one")
    first, second = todo.take(todo.next(1)), todo.take(todo.next(1))
    todo.end(first, fault)
    todo.end(second, CEILING)
    assert (todo.stopped_by, todo.waiting, todo.open) == (fault, {}, False)


async def test_what_has_no_score_waits_again_when_an_order_says_so(
    todo: Worklist, order: Give, wanted: list[PlannedAttempt]
):
    items = todo.take(todo.next(3))
    spec, task = wanted[0]
    error = InfrastructureError(Cause.IMAGE_BUILD, "no space")
    failed = error_episode(spec, task, error, error.cause.value)
    passed = failed.model_copy(update={"episode_id": wanted[1].spec.episode_id, "passed": True})
    passed = passed.model_copy(update={"outcome": Outcome.PASSED})
    found = {row.episode_id: row for row in (failed, passed)}
    assert todo.settle(items, found) == [failed, passed]
    assert todo.settle(items, found) == [], "they are told once"
    await order(Order(retry_errors=True))
    todo.retry()
    assert list(todo.waiting) == [failed.episode_id]
    todo.take(todo.waiting)
    todo.retry()
    assert todo.waiting == {}, "an order is taken once"


def test_the_next_are_those_that_fit_and_are_made_by_the_same_means(
    wanted: list[PlannedAttempt], steering: Steering
):
    spec, task = wanted[1]
    other = spec.model_copy(update={"agent_id": "x" * MOST_BYTES})
    todo = Worklist([wanted[0], PlannedAttempt(other, task), wanted[2]], steering)
    assert len(todo.next(3)) == 1, "the second does not fit in with it"
    same = todo.next(3, [spec.means])
    assert [item.spec.trial for item in same.values()] == [0, 2]
    assert len(todo.waiting) == 3, "they wait until they are taken"
