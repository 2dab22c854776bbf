"""Compete and route, offline and whole: real sandboxes, models over HTTP, git, parquet, server."""

import asyncio
import shutil
from pathlib import Path

import pytest
from support.agents import agent

from grindstone.competency import TrainingJobs, estimates, measure
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.chain import Chain
from grindstone.graduation.audit.event import EventKind
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import (
    CompetencyRow,
    OutcomeRow,
    RoutingAnswerRow,
    RoutingRow,
)
from grindstone.ledger.tables.runs import RunRow
from grindstone.records import Episode, Purpose
from grindstone.resources import bundled
from grindstone.runs.progress import watching
from grindstone.settings import CompetencySettings, RouteSettings

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]

GIT, LOGS = "version-control", "log-analysis"
TASKS = ["deleted-branch", "merged-timeline"]


def competing(home: Path, **options) -> CompetencySettings:
    return CompetencySettings(
        **(
            {
                "work_dir": home,
                "model_id": "rehearsal",
                "max_workers": 2,
                "max_cycles": 2,
                "task_ids": TASKS,
                "min_episodes": 1,
            }
            | options
        )
    )


async def test_the_full_loop(tmp_path: Path, prefect_server: str):
    """Two members, tasks routed, outcomes learned from, the weakest trained, the index risen."""
    from grindstone.flows.compete import compete
    from grindstone.flows.route import route

    agent(tmp_path, "gitta", GIT)
    agent(tmp_path, "logan", LOGS)
    routing = RouteSettings(
        work_dir=tmp_path,
        model_id="rehearsal",
        member=["gitta", "logan"],
        exploration=0.3,
        approved_by="the test",
    )
    # What they do is measured first: without evidence all are equal.
    for name in ("gitta", "logan"):
        await compete(competing(tmp_path, agent_id=name, train="queue", max_jobs=0))
    ledger = Ledger(tmp_path)
    table = measure(ledger.scan(Episode))
    gitta, logan = (estimates(table, name, [GIT, LOGS]) for name in ("gitta", "logan"))
    assert gitta[GIT].score > logan[GIT].score
    assert logan[LOGS].score > gitta[LOGS].score

    routed = [await route(routing.model_copy(update={"task": task})) for task in TASKS]
    assert [each.decision.member_name for each in routed] == ["gitta", "logan"]
    assert [each.decision.domain for each in routed] == [GIT, LOGS]
    assert [each.status for each in routed] == ["done", "done"]
    assert all(each.response for each in routed)
    rows = ledger.rows(OutcomeRow)
    assert {(row.member_name, row.domain, row.success) for row in rows} == {
        ("gitta", GIT, True),
        ("logan", LOGS, True),
    }
    text = "Recover the commits of a git branch that was lost."
    again = await route(routing.model_copy(update={"task": text}))
    assert (again.status, again.decision.member_name) == ("decided", "gitta")
    assert again.decision.competency > routed[0].decision.competency
    assert len(ledger.rows(RoutingRow)) == 3

    # The weakest domain of gitta is trained by a real grind.
    competed = await compete(competing(tmp_path, agent_id="gitta"))
    (job,) = competed.jobs
    assert (job.domain, job.status) == (LOGS, "unproven"), job.note
    assert "no task of the domain was held out" in job.note
    assert job.after > job.before
    first, last = competed.scorings
    assert last.result.index > first.result.index
    assert last.result.domains[LOGS] > first.result.domains[LOGS]
    scored = [row for row in ledger.rows(CompetencyRow) if row.agent_id == "gitta"]
    assert len({(row.run_key, row.index) for row in scored}) == 3
    plots = tmp_path / "runs" / competed.run_key / "plots"
    assert "The index went from" in (plots / "competency-trend.svg").read_text()
    assert LOGS in (plots / "competency-domains.svg").read_text()
    trained = [row for row in ledger.rows(Episode) if row.purpose is Purpose.TRAIN and row.arm]
    assert {row.arm for row in trained} == {"baseline", "candidate"}
    assert any(row.run_key.endswith("-grind") for row in ledger.rows(RunRow))

    # And now gitta can be asked for what it could not do.
    task = {"task": "merged-timeline", "member": ["gitta"]}
    taught = await route(routing.model_copy(update=task))
    assert (taught.status, taught.decision.policy) == ("done", "proceed")


@pytest.mark.catalogue(of="training jobs")
async def test_training_that_does_not_help_is_taken_back(tmp_path: Path, prefect_server: str):
    from grindstone.flows.train import train

    made = agent(tmp_path, "gitta", GIT)
    before = made.snapshot()
    tasks = tmp_path / "tasks"
    # A task nobody can pass: what is learned from it can be of no use.
    shutil.copytree(bundled("examples/tasks/lost-commit"), tasks / "hopeless")
    test = tasks / "hopeless" / "tests" / "test.sh"
    test.write_text("#!/bin/bash\nmkdir -p /logs/verifier\necho 0 > /logs/verifier/reward.txt\n")
    jobs = TrainingJobs(tmp_path, "gitta")
    job = jobs.enqueue("anything", data_path=str(tasks))
    settings = competing(tmp_path, agent_id="gitta", task_ids=[])
    outcome = await train(job, settings)
    assert outcome.status == "unhelpful"
    assert outcome.before == outcome.after == 0
    assert made.snapshot().tree == before.tree
    assert jobs.status(job.job_id) == "unhelpful"
    assert jobs.pending() == []
    assert await train(job, settings) is None


async def test_two_scoring_runs_at_once_order_one_job(tmp_path: Path, prefect_server: str):
    from grindstone.flows.compete import compete

    agent(tmp_path, "ann")
    settings = competing(
        tmp_path, agent_id="ann", task_ids=["lost-commit"], train="queue", run_key=None
    )
    runs = [compete(settings.model_copy(update={"run_key": f"run-{k}"})) for k in range(2)]
    found = await asyncio.gather(*runs)
    assert sorted(len(each.enqueued) for each in found) == [0, 1]
    jobs = TrainingJobs(tmp_path, "ann")
    assert [job.domain for job in jobs.pending()] == [GIT]
    assert jobs.cancel(jobs.pending()[0].job_id) == "cancelled"


async def test_escalated_tasks_stop_and_free_text_is_graded_by_its_check(
    tmp_path: Path, prefect_server: str
):
    from grindstone.flows.route import route

    agent(tmp_path, "ann")
    ledger = Ledger(tmp_path)
    rows = [
        Episode(
            episode_id=f"e{k}",
            run_key="past",
            agent_id="ann",
            purpose=Purpose.GRIND,
            task_id="t",
            category=GIT,
            outcome="failed",
            started_at="2026-01-01T00:00:00Z",
            ended_at="2026-01-01T00:00:01Z",
        )
        for k in range(9)
    ]
    ledger.append(rows, run_key="past")
    settings = RouteSettings(work_dir=tmp_path, model_id="rehearsal", approved_by="the test")
    stopped = await route(settings.model_copy(update={"task": "lost-commit"}))
    assert (stopped.status, stopped.decision.policy) == ("escalated", "escalate")
    assert ledger.rows(OutcomeRow) == []

    text = "Count the lines of the logs below /var/log and put the number into /app/count.txt"
    (tmp_path / "policies").mkdir()
    scopes = f"name: own\nscopes: {{logs: {{categories: [{LOGS}]}}}}\n"
    (tmp_path / "policies" / "own.yaml").write_text(scopes)
    await GraduationService(tmp_path).enrol_agent(
        "ann", "INTERN", by="Grace", second="Linus", reason="a test", scope="logs"
    )
    told = await route(settings.model_copy(update={"task": text}))
    assert (told.status, told.decision.domain) == ("decided", LOGS)
    assert (told.decision.level, told.decision.scope) == ("INTERN", "logs")
    assert (stopped.decision.level, stopped.decision.scope) == ("STUDENT", "")
    checked = settings.model_copy(update={"task": text, "check": "test -d /app"})
    done = await route(checked)
    assert (done.status, done.decision.policy) == ("done", "review")
    assert "the test" in done.decision.note
    (outcome,) = ledger.rows(OutcomeRow)
    assert (outcome.domain, outcome.success, outcome.episode_id) == (LOGS, True, done.episode_id)
    failed = await route(checked.model_copy(update={"check": "test -e /nowhere"}))
    assert failed.status == "failed"


async def test_a_review_waits_for_a_person(tmp_path: Path, prefect_server: str):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.flow_runs import resume_flow_run

    from grindstone.flows.route import route

    agent(tmp_path, "ann", GIT)
    settings = RouteSettings(
        work_dir=tmp_path, model_id="rehearsal", task="dropped-stash", run_key=tmp_path.name[-60:]
    )

    async def paused(key: str) -> str:
        async with get_client() as client:
            while True:
                runs = await client.read_flow_runs(
                    flow_run_filter=FlowRunFilter.model_validate(
                        {"state": {"type": {"any_": ["PAUSED"]}}}
                    )
                )
                mine = [run.id for run in runs if run.parameters["settings"]["run_key"] == key]
                if mine:
                    return mine[0]
                await asyncio.sleep(0.2)

    async def answer(key: str, **said) -> None:
        await resume_flow_run(await paused(key), run_input=said)

    routed, _ = await asyncio.gather(
        route(settings),
        answer(settings.run_key, decision="refuse", name="Ada", reason="not today"),
    )
    assert (routed.status, routed.note) == ("declined", "Ada said no: not today")
    assert Ledger(tmp_path).rows(Episode) == []
    told: list[object] = []
    with watching(told.append):
        late = await route(settings.model_copy(update={"review_timeout_s": 1}))
    assert any("Waiting 1.0 s at most" in getattr(event, "text", "") for event in told)
    assert late.status == "declined"
    assert "within 1 s" in late.note
    key = f"{settings.run_key}-yes"
    allowed, _ = await asyncio.gather(
        route(settings.model_copy(update={"run_key": key})),
        answer(key, decision="approve", name="Ada"),
    )
    assert allowed.status == "done"
    assert "approved by Ada" in allowed.decision.note
    kept = [(row.approved, row.by) for row in Ledger(tmp_path).rows(RoutingAnswerRow)]
    assert sorted(kept) == [(False, ""), (False, "Ada"), (True, "Ada")]
    trail = [(event.kind, event.by, event.agent_id) for event in Chain(tmp_path).events()]
    member = allowed.decision.member_name
    assert (EventKind.TASK_REFUSED, "Ada", member) in trail
    assert (EventKind.TASK_APPROVED, "Ada", member) in trail
    assert allowed.decision.success is True


async def test_the_strong_model_is_asked_beside_a_saved_block(
    tmp_path: Path, prefect_server: str, rehearsal_url: str
):
    from grindstone.blocks import BlockNames, ModelBlock
    from grindstone.flows.route import route

    agent(tmp_path, "gitta", GIT)
    await ModelBlock(model_id="rehearsal").save("usual", overwrite=True)
    strong = f"openai:strong@{rehearsal_url}/v1"
    settings = RouteSettings(
        work_dir=tmp_path,
        task="deleted-branch",
        member=["gitta"],
        strong_model_id=strong,
        classifier=False,
        approved_by="the test",
    )
    routed = await route(settings, BlockNames(model="usual"))
    assert routed.decision.model_tier == "strong", "nobody has shown that he can do it"
    (episode,) = Ledger(tmp_path).rows(Episode)
    assert episode.model == strong
