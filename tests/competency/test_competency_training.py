"""A training job's other ways: without labels, broken off, called off."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.agents import agent

from grindstone.competency import TrainingJob, TrainingJobs
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import JudgeVerdictRow
from grindstone.ledger.tables.runs import EvolutionRow, GateDecisionRow, RunRow
from grindstone.llm import CallRecord
from grindstone.records import Episode, Purpose
from grindstone.settings import AdaptiveSettings, CompetencySettings
from grindstone.workspace import Workspace

pytestmark = [
    pytest.mark.catalogue(of="training jobs"),
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(400),
]

BUILDS = ["crlf-kit", "visitor-report", "ledger-package"]


def settings(home: Path, **options: Any) -> CompetencySettings:
    given = {"model_id": "rehearsal", "max_workers": 2, "max_cycles": 1, "agent_id": "ann"}
    return CompetencySettings.model_validate({"work_dir": home, **given, **options})


async def test_a_job_may_learn_without_labels(tmp_path: Path, prefect_server: str):
    from grindstone.flows.compete import compete

    made = agent(tmp_path, "ann", "version-control")
    assert len(made.library.names()) >= AdaptiveSettings().max_skills  # its budget is used up
    # What goes wrong shows in what this profile does: its commands have exit codes.
    # It holds tasks out by itself; of two it would learn from one.
    given = settings(
        tmp_path, task_ids=BUILDS, job_kind="adapt", native_profile="strands", held_out=0
    )
    competed = await compete(given)
    (job,) = competed.jobs
    assert (job.kind, job.status) == ("adapt", "unproven"), job.note
    assert job.after > job.before
    ledger, key = Ledger(tmp_path), f"{job.job_id}-adapt"
    assert {row.kind for row in ledger.rows(RunRow, key)} == {"adapt"}
    learning = [row for row in ledger.rows(Episode, key) if row.purpose is Purpose.ADAPT]
    judged = {row.episode_id for row in ledger.rows(JudgeVerdictRow, key)}
    assert judged == {row.episode_id for row in learning}
    [decision] = ledger.rows(GateDecisionRow, key)
    assert decision.accepted
    [evolution] = ledger.rows(EvolutionRow, key)
    assert evolution.skills_added
    assert set(evolution.skills_added) < set(made.library.names())


async def broken_off(home: Path) -> tuple[Workspace, TrainingJobs, TrainingJob]:
    """A training that ended with its process, when it had learned and not yet measured."""
    from grindstone.flows.train import train

    made = agent(home, "ann")
    jobs = TrainingJobs(home, "ann")
    job = jobs.enqueue("legacy-build")
    assert job is not None
    running = asyncio.create_task(train(job, settings(home, task_ids=BUILDS[:1])))
    while not made.evolutions():
        assert not running.done()
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert jobs.status(job.job_id) == "running"
    assert "evo-1" in made.repository.tags()
    return made, jobs, job


async def test_a_job_goes_on_with_the_settings_it_began_with(tmp_path: Path, prefect_server: str):
    from grindstone.flows.train import train

    made, jobs, job = await broken_off(tmp_path)
    others = settings(tmp_path, task_ids=BUILDS, target_index=0.5, max_cycles=3, max_workers=1)
    outcome = await train(job, others)
    assert outcome is not None
    assert outcome.status == "unproven", outcome.note  # its one task is what it trained on
    assert {row.task_id for row in jobs.ledger.rows(Episode)} == set(BUILDS[:1])
    assert len(made.evolutions()) == 1


async def test_what_a_job_learned_that_was_called_off_is_taken_back(
    tmp_path: Path, prefect_server: str
):
    from grindstone.flows.train import train

    made, jobs, job = await broken_off(tmp_path)
    assert jobs.cancel(job.job_id) == "running"  # its workspace has to be put right first
    attempts = len(jobs.ledger.rows(Episode))
    outcome = await train(job, settings(tmp_path))
    assert outcome is not None
    assert outcome.note == "after it trained; rolled back"
    assert [row.status for row in jobs.history()] == ["queued", "running", "cancelled"]
    assert made.snapshot().tree == made.snapshot("seed").tree
    assert len(jobs.ledger.rows(Episode)) == attempts
    assert jobs.enqueue("legacy-build") is not None


async def test_one_ceiling_holds_for_scoring_and_training(tmp_path: Path, prefect_server: str):
    from grindstone.flows.compete import compete

    made = agent(tmp_path, "ann")
    ceiling = 70_000  # ends the practice
    given = settings(
        tmp_path, task_ids=["branch-sales"], max_cycles=3, held_out=0, max_tokens_total=ceiling
    )
    stopped = await compete(given)
    ledger = Ledger(tmp_path)
    calls = ledger.rows(CallRecord)
    sizes = [(call.usage + call.lost).total_tokens for call in calls]
    assert len({call.run_key for call in calls}) > 1, "the job has a run of its own"
    assert sum(sizes) <= ceiling + max(sizes)
    assert "max_tokens_total" in stopped.note
    (job,) = stopped.jobs
    practised = ledger.rows(RunRow, f"{job.job_id}-grind")
    assert "max_tokens_total" in max(practised, key=lambda row: row.sequence).note
    assert job.status == "running", "what was paid is kept for when there is more to spend"

    done = await compete(given.model_copy(update={"max_tokens_total": 10 * ceiling}))
    assert done.note == ""
    assert [(each.job_id, each.status) for each in done.jobs] == [(job.job_id, "unproven")]
    assert made.evolutions()
    first = {call.call_id for call in calls if call.run_key.startswith(job.job_id)}
    assert first <= {call.call_id for call in ledger.rows(CallRecord)}
