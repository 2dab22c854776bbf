"""Training jobs on a worker: ordered by a scoring run, run one by one, stopped, called off."""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.agents import agent

from grindstone.competency import TrainingJob, TrainingJobs

pytestmark = [
    pytest.mark.catalogue(of="training jobs"),
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

MODEL = ("--model-id", "rehearsal", "--max-cycles", "2", "--min-episodes", "1")


def compete(up: Any, agent_id: str, *more: str) -> None:
    """Score an agent, with a home given relative to where this process is."""
    home = os.path.relpath(up.home)
    done = up.command("compete", "--work-dir", home, "--agent-id", agent_id, *MODEL, *more)
    assert done.returncode == 0, done.stderr


def wait(until: Callable[[], object], patience_s: float = 300.0) -> None:
    deadline = time.monotonic() + patience_s
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def sent(up: Any, agent_id: str) -> list[dict[str, Any]]:
    """The training runs of an agent on the work pool, in order."""
    wanted = {
        "deployments": {"id": {"any_": [up.deployment("train")["id"]]}},
        "flow_runs": {"tags": {"all_": [f"agent:{agent_id}"]}},
    }
    found: list[dict[str, Any]] = up.post("/flow_runs/filter", wanted)
    return sorted(found, key=lambda run: run["created"])


def states(jobs: TrainingJobs, job: TrainingJob) -> list[str]:
    return [row.status for row in jobs.history() if row.job_id == job.job_id]


def test_jobs_ordered_by_a_scoring_run_are_trained_one_after_another(up: Any):
    agent(up.home, "trainee")
    tasks = ("--task-ids", "crlf-kit", "--task-ids", "merged-timeline")
    compete(up, "trainee", *tasks, "--max-jobs", "2", "--train", "deployment")
    jobs = TrainingJobs(up.home, "trainee")
    first, second = jobs.pending()
    assert {first.domain, second.domain} == {"legacy-build", "log-analysis"}
    wait(lambda: not jobs.pending())
    runs = [up.finished(run["id"]) for run in sent(up, "trainee")]
    assert [run["parameters"]["job"]["job_id"] for run in runs] == [first.job_id, second.job_id]
    assert [run["state_type"] for run in runs] == ["COMPLETED"] * 2
    assert runs[0]["end_time"] <= runs[1]["start_time"]
    for job in (first, second):
        assert states(jobs, job) == [
            "queued",
            "running",
            "unproven",
        ]  # of one task none is held out
    for row in jobs.latest():
        assert row.after > row.before
        assert "after, on 1 attempt each; no task of the domain was held out" in row.note


def test_a_job_survives_its_worker_and_is_called_off(up: Any):
    """Cancelling the flow run ends its process, and the job is taken up again."""
    made = agent(up.home, "quitter")
    before = made.snapshot()
    jobs = TrainingJobs(up.home, "quitter")
    job = jobs.enqueue("legacy-build")
    assert job is not None
    settings = {"work_dir": str(up.home), "model_id": "rehearsal", "task_ids": ["crlf-kit"]}
    parameters = {"job": job.model_dump(mode="json"), "settings": settings}

    def start() -> str:
        address = f"/deployments/{up.deployment('train')['id']}/create_flow_run"
        return str(up.post(address, {"parameters": parameters})["id"])

    run = start()
    wait(lambda: jobs.status(job.job_id) == "running")
    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    up.post(f"/flow_runs/{run}/set_state", cancelling)
    assert up.finished(run)["state_type"] == "CANCELLED"
    assert jobs.active(job.domain) == job

    run = start()
    wait(lambda: made.evolutions() or not jobs.pending())
    assert jobs.cancel(job.job_id) == "running"
    assert up.finished(run)["state_type"] == "COMPLETED", up.logs(run)
    assert states(jobs, job) == ["queued", "running", "running", "cancelled"]
    assert jobs.latest()[0].note == "after it trained; rolled back"
    assert made.snapshot().tree == before.tree
