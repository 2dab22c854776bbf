"""The account of looks at sealed tasks: levels sum to alpha at most, whatever is renamed."""

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grindstone.attempt.account import Question, book
from grindstone.attempt.arms import Arms
from grindstone.benchmark.task import Task
from grindstone.errors import RefusedError
from grindstone.gate.exposure import Look, connected, offer
from grindstone.gate.rules import least_tasks
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import ExposureRow
from grindstone.workspace import Snapshot

marks = st.frozensets(st.sampled_from("abcdefgh"), min_size=1, max_size=4)


@given(st.lists(marks, max_size=12), st.sampled_from([0.05, 0.1, 0.3]))
def test_no_account_ever_spends_more_than_alpha(asked, alpha):
    looks: list[Look] = []
    for each in asked:
        found = offer(looks, each, alpha=alpha, n_clusters=20)
        if found.level > 0:
            looks.append(Look(each, found.level))
    for look in looks:
        assert sum(one.level for one in connected(looks, look.marks)) <= alpha + 1e-12


def test_on_one_corpus_the_levels_are_the_series():
    looks: list[Look] = []
    for k in range(1, 30):
        found = offer(looks, "ab", alpha=0.05, n_clusters=20)
        assert found.nth == k
        assert found.level == pytest.approx(0.05 / (k * (k + 1)))
        looks.append(Look(frozenset("ab"), found.level))


def test_new_tasks_have_an_account_of_their_own_until_a_look_joins_them():
    looks = [Look(frozenset("a"), 0.025), Look(frozenset("b"), 0.025)]
    assert offer(looks, "c", alpha=0.05, n_clusters=9).level == 0.025
    joined = offer(looks, "ab", alpha=0.05, n_clusters=9)
    assert (joined.nth, joined.level, joined.convincing) == (3, 0.0, False)
    assert "6 new clusters" in joined.refusal


@given(st.integers(1, 40), st.sampled_from([0.05, 0.2]))
def test_a_look_is_refused_exactly_when_nothing_could_convince(n_clusters, alpha):
    found = offer([], "a", alpha=alpha, n_clusters=n_clusters)
    assert found.convincing == (2.0**-n_clusters <= found.level)
    assert found.convincing == (n_clusters >= least_tasks(alpha / 2))


def task(task_id: str, text: str, *, digest: str = "") -> Task:
    return Task(
        task_id=task_id,
        path=Path("/nowhere") / task_id,
        digest=digest or f"digest of {task_id}",
        environment_digest="",
        instruction=text,
    )


def question(tasks: list[Task], candidate: str = "after") -> Question:
    before = Snapshot(commit="0", tree="before", skills_digest="")
    after = Snapshot(commit="1", tree=candidate, skills_digest="")
    arms = Arms(baseline=before, candidate=after)
    return Question(tuple(tasks), arms, model="m", profile="p", trials=1)


TASKS = [task(f"task-{n}", f"Do {n}, please.") for n in range(8)]
RENAMED = [
    task(f"copy-{n}", f"do {n} --\n  PLEASE", digest=f"with other limits {n}") for n in range(8)
]


def ask(home: Path, asked: Question, *, run_key: str, agent_id: str = "one") -> ExposureRow:
    return book(Home.at(home), asked, alpha=0.05, agent_id=agent_id, run_key=run_key)


def test_the_same_question_is_booked_once_whoever_asks_it(tmp_path: Path):
    first = ask(tmp_path, question(TASKS), run_key="first")
    again = ask(tmp_path, question(TASKS[::-1]), run_key="second", agent_id="other")
    assert again == first
    assert [row.run_key for row in Ledger(tmp_path).rows(ExposureRow)] == ["first"]


def test_copies_under_other_names_with_other_limits_share_the_account(tmp_path: Path):
    ask(tmp_path, question(TASKS), run_key="first")
    second = ask(tmp_path, question(RENAMED, "other"), run_key="second", agent_id="other")
    assert second.nth == 2
    assert second.level == pytest.approx(0.05 / 6)


def test_a_copy_is_no_second_piece_of_evidence(tmp_path: Path):
    with pytest.raises(RefusedError, match="no result of 5 clusters"):
        ask(tmp_path, question(TASKS[:5] + RENAMED[:5]), run_key="first")


def test_the_account_ends_with_a_refusal_that_says_what_refills_it(tmp_path: Path):
    for n in range(2):
        ask(tmp_path, question(TASKS, f"state {n}"), run_key=f"run-{n}")
    with pytest.raises(RefusedError, match=r"looked at 2 times before.*6 new clusters"):
        ask(tmp_path, question(TASKS[:7], "state 3"), run_key="run-3")
    assert len(Ledger(tmp_path).rows(ExposureRow)) == 2, "a refusal spends nothing"


def _ask_at_once(home: str, number: int) -> None:
    many = [task(f"t{n}", f"Do {n}.") for n in range(20)]
    ask(Path(home), question(many, f"state {number}"), run_key=f"run-{number}")


@pytest.mark.slow
def test_processes_that_ask_at_once_are_booked_one_after_another(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    asking = [context.Process(target=_ask_at_once, args=(str(tmp_path), n)) for n in range(4)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    rows = sorted(Ledger(tmp_path).rows(ExposureRow), key=lambda row: row.nth)
    assert [row.nth for row in rows] == [1, 2, 3, 4]
    assert [row.level for row in rows] == pytest.approx(
        [0.05 / (k * (k + 1)) for k in (1, 2, 3, 4)]
    )
