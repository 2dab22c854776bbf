import math
import subprocess
import sys
import threading
import time

import pytest

from grindstone.competency import (
    AutonomousCompetencyLoop,
    CompetencyEval,
    CompetencyTracker,
    DomainSpec,
    TrainingJobs,
    TrainingOutcome,
)
from grindstone.errors import InputError, RefusedError


def scored(**domains):
    return CompetencyEval(domains, 10).run()


def ordered(jobs, result, **options):
    return [job.domain for job in jobs.enqueue_from_competency(result, **options)]


def test_the_most_urgent_come_first_and_each_domain_once(tmp_path):
    jobs = TrainingJobs(tmp_path)
    result = scored(a=9, b=1, c=5)
    assert ordered(jobs, result) == ["b"]
    # Filtered first, then cut: b is taken, so c has its turn.
    assert ordered(jobs, result) == ["c"]
    assert ordered(jobs, result, deficit_threshold=2) == []
    assert [job.domain for job in jobs.pending()] == ["b", "c"]
    assert jobs.active("B").before == 1


def test_unknown_domains_are_not_trained(tmp_path):
    assert ordered(TrainingJobs(tmp_path), scored(a=None, b=3), max_jobs=5) == ["b"]


def test_a_job_ends_and_the_domain_is_free_again(tmp_path):
    jobs = TrainingJobs(tmp_path)
    first = jobs.enqueue("a", before=2.0)
    assert jobs.status(first.job_id) == "queued"
    assert jobs.enqueue("A") is None
    jobs.start(first)
    assert jobs.status(first.job_id) == "running"
    jobs.finish(first, TrainingOutcome(status="done", before=2.0, after=6.0))
    second = jobs.enqueue("a")
    assert second.number == 2
    assert second.job_id != first.job_id
    assert jobs.status(first.job_id) == "done"
    assert [(row.status, row.after) for row in jobs.history()] == [
        ("queued", None),
        ("running", None),
        ("done", 6.0),
        ("queued", None),
    ]
    assert TrainingJobs(tmp_path, "another").enqueue("a").number == 1


def test_what_was_trained_in_vain_waits_behind_the_others(tmp_path):
    jobs = TrainingJobs(tmp_path)
    result = scored(a=1, b=5)
    (job,) = jobs.enqueue_from_competency(result)
    jobs.finish(job, TrainingOutcome(status="unhelpful", before=1, after=1))
    assert ordered(jobs, result) == ["b"]
    assert ordered(jobs, result) == ["a"]


def test_cancelling(tmp_path):
    ran = []

    def runner(job):
        ran.append(job.domain)
        return TrainingOutcome(status="done")

    jobs = TrainingJobs(tmp_path, runner=runner)
    waiting = jobs.enqueue("a")
    assert jobs.cancel(waiting.job_id) == "cancelled"
    assert jobs.run_pending() == []
    assert jobs.cancel(waiting.job_id) == "cancelled"
    running = jobs.enqueue("b")
    with jobs.alone() as alone:
        assert alone
        jobs.start(running)
        assert TrainingJobs(tmp_path).cancel(running.job_id) == "running"
        assert jobs.cancelled(running)
        assert jobs.run_pending() == []  # somebody else is at it
    assert [outcome.status for outcome in jobs.run_pending()] == ["cancelled"]
    assert ran == []
    with pytest.raises(InputError, match="no job"):
        jobs.cancel("nothing")


def test_a_runner_that_fails_leaves_a_failed_job(tmp_path):
    def refuses(job):
        raise RefusedError("no tasks")

    jobs = TrainingJobs(tmp_path, runner=refuses)
    job = jobs.enqueue("a")
    (outcome,) = jobs.run_pending()
    assert outcome.status == "failed"
    assert jobs.history()[-1].note == "no tasks"
    assert jobs.status(job.job_id) == "failed"
    with pytest.raises(InputError, match="runner"):
        TrainingJobs(tmp_path).run_pending()


PROGRAM = """
import sys, time
from pathlib import Path
from grindstone.competency import AutonomousCompetencyLoop, DomainSpec, TrainingJobs
loop = AutonomousCompetencyLoop(
    [DomainSpec("a", lambda: 2), DomainSpec("b", lambda: 9)], 10, deficit_threshold=2,
    jobs=TrainingJobs(Path(sys.argv[1])),
)
while not Path(sys.argv[2]).exists():
    time.sleep(0.005)
print(len(loop.run_cycle().enqueued))
"""


@pytest.mark.commands
def test_two_loops_started_at_once_enqueue_one_job(tmp_path):
    starter = tmp_path / "go"
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "home"), str(starter)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    time.sleep(2)
    starter.touch()
    counts = [int(process.communicate(timeout=100)[0]) for process in running]
    assert sorted(counts) == [0, 1]
    assert [job.domain for job in TrainingJobs(tmp_path / "home").pending()] == ["a"]


def test_many_threads_enqueue_one_job(tmp_path):
    result = scored(a=2)
    barrier = threading.Barrier(8)
    found = []

    def loop():
        jobs = TrainingJobs(tmp_path)
        barrier.wait()
        found.extend(jobs.enqueue_from_competency(result))

    threads = [threading.Thread(target=loop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert [row.status for row in TrainingJobs(tmp_path).history()] == ["queued"]


def test_signals_are_read_anew_and_training_moves_them(tmp_path):
    tracker = CompetencyTracker(base=9, seed={"python": 8, "sql": 3})

    def practise(job):
        before = tracker.competency(job.domain)
        after = tracker.record(job.domain, True)
        return TrainingOutcome(status="done", before=before, after=after)

    loop = AutonomousCompetencyLoop(
        [
            DomainSpec("python", tracker.signal("python"), data_path="data/python"),
            DomainSpec("sql", tracker.signal("sql"), data_path="data/sql"),
        ],
        base=9,
        dependency={("python", "sql"): 0.5},
        interval_seconds=3600,
        target_index=0.8,
        jobs=TrainingJobs(tmp_path, runner=practise),
    )
    cycles = [loop.run_cycle() for _ in range(9)]
    assert cycles[0].enqueued[0].domain == "sql"
    assert cycles[0].enqueued[0].data_path == "data/sql"
    indices = [cycle.result.index for cycle in cycles]
    assert indices == sorted(indices)
    assert indices[-1] >= 0.8
    assert cycles[-1].enqueued == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 11, None, "9", True])
def test_a_dead_signal_keeps_its_domain_and_raises_no_index(tmp_path, value):
    live = {"a": 9.0, "b": 2.0}

    def b():
        if live["b"] == 0:
            if value == 11:
                raise ConnectionError("sensor")
            return value
        return live["b"]

    loop = AutonomousCompetencyLoop(
        [DomainSpec("a", lambda: live["a"]), DomainSpec("b", b)],
        jobs=TrainingJobs(tmp_path),
        target_index=0.0,
    )
    before = loop.run_cycle()
    live["b"] = 0
    after = loop.run_cycle()
    assert after.result.unknown == ("b",)
    assert after.result.index < before.result.index
    assert "b" in after.problems
    live["b"] = 2.0
    assert loop.run_cycle().result.index == before.result.index


def test_the_loop_runs_in_the_background_and_stops(tmp_path):
    turns = threading.Semaphore(0)
    loop = AutonomousCompetencyLoop(
        [DomainSpec("a", lambda: 9.9)],
        interval_seconds=0.01,
        jobs=TrainingJobs(tmp_path),
        on_cycle=lambda cycle: turns.release(),
    )
    loop.start()
    loop.start()
    assert sum(thread.name == "competency-loop" for thread in threading.enumerate()) == 1
    for _ in range(3):
        assert turns.acquire(timeout=20)
    loop.stop()
    assert not loop.running
    count = len(loop.cycles)
    time.sleep(0.05)
    assert len(loop.cycles) == count
    assert [cycle.number for cycle in loop.cycles] == list(range(count))
    loop.start()
    assert turns.acquire(timeout=20)
    loop.stop()


def test_what_breaks_the_loop_is_told_when_it_is_stopped(tmp_path):
    def broken(cycle):
        raise ZeroDivisionError

    loop = AutonomousCompetencyLoop(
        [DomainSpec("a", lambda: 9)], jobs=TrainingJobs(tmp_path), on_cycle=broken
    )
    loop.start()
    with pytest.raises(ZeroDivisionError):
        loop.stop()


def test_unusable_loops_are_refused(tmp_path):
    good = DomainSpec("a", lambda: 1)
    for arguments, named in (
        (([],), "domains"),
        (([good, good],), "twice"),
        (([DomainSpec("a", 5)],), "signal of a"),
        (([good], 10, {("a", "b"): 1}), "'b' is no domain"),
        (([good], 10, None, math.nan), "interval_seconds"),
        (([good], 10, None, 1, 1.5), "target_index"),
    ):
        with pytest.raises(InputError, match=named):
            AutonomousCompetencyLoop(*arguments, jobs=TrainingJobs(tmp_path))
