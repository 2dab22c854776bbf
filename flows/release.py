"""The release: the present agent against its last one, on tasks that took no part in learning."""

import asyncio
from pathlib import Path
from typing import Annotated

from prefect import flow

from grindstone.attempt.account import Question, answered, book, last_release
from grindstone.attempt.arms import arms_of
from grindstone.attempt.release import record_release
from grindstone.attempt.sealing import releasable
from grindstone.attempt.spec import agent_of, profile_name_of
from grindstone.base import Frozen
from grindstone.benchmark import Task
from grindstone.blocks import BlockNames, configure, credentials
from grindstone.errors import InputError
from grindstone.flows.paired import attempts_of, compare_arms
from grindstone.flows.run import Run, checked, open_planned, within_budget
from grindstone.gate.power import sentence
from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import ExposureRow, ReleaseRow
from grindstone.llm.providers import resolve_model_id
from grindstone.records import Purpose
from grindstone.report.certificate import release_headline
from grindstone.report.gate_page import as_pair
from grindstone.report.model import RunReport
from grindstone.runs.elsewhere import bring_here
from grindstone.runs.plan import choose_tasks, open_workspace, plan_run
from grindstone.runs.progress import Note, current_watcher
from grindstone.settings import ReleaseSettings
from grindstone.settings.forms import RELEASE
from grindstone.tasks.flow_runs import named
from grindstone.tasks.publish import publish_release
from grindstone.tasks.refusal import told_plainly
from grindstone.text import count
from grindstone.workspace import Workspace
from grindstone.workspace.workspace import SEED_TAG


class Released(Frozen):
    """What a release says, and where its certificate is."""

    row: ReleaseRow | None  # None: a ceiling ended it before it could say anything
    folder: Path
    report: RunReport | None = None  # None: the answer is an earlier run's
    repeated: bool = False


@flow(name="release", flow_run_name=named("release"), cache_result_in_memory=False)
@told_plainly
async def release(
    settings: Annotated[ReleaseSettings, RELEASE] = ReleaseSettings(),  # noqa: B008 - frozen
    blocks: BlockNames = BlockNames(),
) -> Released:
    """Say whether an agent has gained since its last release, from sealed tasks alone.

    The same question again has the same answer and spends nothing; a release that was killed
    goes on where it was.

    Raises:
        RefusedError: The sealed tasks have been looked at so often that nothing could convince.
    """
    settings = await configure(settings, blocks)
    await checked("release", settings, blocks)
    watch = current_watcher()
    home, ledger = settings.home, Ledger(settings.home)
    workspace = await asyncio.to_thread(open_workspace, settings, "terminal")
    named, before = await asyncio.to_thread(_baseline, ledger, workspace, settings)
    if before is None:
        tasks = await asyncio.to_thread(_sealed, ledger, settings)
        model = resolve_model_id(settings.model_id, await credentials(blocks.model)).model_id
        question = Question(
            tasks=tasks,
            arms=await asyncio.to_thread(arms_of, workspace, named),
            model=model,
            profile=profile_name_of(settings.native_profile, agent_of(settings), settings.solver),
            trials=settings.trials,
        )
        before = await asyncio.to_thread(answered, ledger, question.query_id)
    if before is not None:
        watch(Note(f"Asked before, in run {before.run_key}; nothing is spent"))
        await asyncio.to_thread(bring_here, home, before.run_key)
        return Released(row=before, folder=home.run(before.run_key).root, repeated=True)
    key = settings.run_key or f"release-{question.query_id[:12]}"
    exposure = await asyncio.to_thread(
        book, home, question, alpha=settings.alpha, agent_id=settings.agent_id, run_key=key
    )
    settings = settings.model_copy(update={"run_key": exposure.run_key})
    planned = await asyncio.to_thread(plan_run, "release", settings, workspace)
    planned = planned.model_copy(update={"tasks": tasks})
    async with open_planned(planned, settings, blocks) as run:
        for note in told_before(question, exposure):
            run.note(note)
        said: list[ReleaseRow] = []

        async def work() -> None:
            said.extend(await _measured(run, question, exposure))

        note = await within_budget(work())
        done = await run.finish(note=note)
        return Released(row=next(iter(said), None), folder=done.folder, report=done.report)


async def _measured(
    run: Run[ReleaseSettings], question: Question, exposure: ExposureRow
) -> list[ReleaseRow]:
    """Make all attempts of a question and say what they show; nothing where none has a score."""
    plan = attempts_of(
        run,
        question.tasks,
        question.arms,
        trials=range(question.trials),
        purpose=Purpose.RELEASE,
    )
    pairs = await compare_arms(run, plan, gate_id="release", until_settled=None, reuse=False)
    if not any(as_pair(pair).complete for pair in pairs):
        told = "No attempt has a score, so nothing is said; the same command goes on"
        run.note(told)
        return []
    row, page = await asyncio.to_thread(
        record_release,
        run.ledger,
        run.runtime.folder,
        question,
        exposure,
        pairs,
        agent_id=run.settings.agent_id,
        signing_key=run.settings.signing_key,
    )
    await publish_release(row, page)
    run.note(release_headline(row))
    return [row]


def told_before(question: Question, exposure: ExposureRow) -> tuple[str, ...]:
    """Return what a release could find, and what it takes, before it does."""
    n = len(question.tasks)
    power = sentence(
        n,
        question.trials,
        alpha=exposure.level,
        direction="gain",
        n_clusters=exposure.n_clusters,
    )
    attempts = 2 * n * question.trials
    return (
        power.replace("this gate", "this release"),
        f"{count(attempts, 'attempt')}; look {exposure.nth} at these tasks has a level of "
        f"{exposure.level:.2%}, of {exposure.alpha:.0%} for all looks together",
    )


def _baseline(
    ledger: Ledger, workspace: Workspace, settings: ReleaseSettings
) -> tuple[ReleaseSettings, ReleaseRow | None]:
    """Return settings that name the baseline; or the release that has said all there is to say."""
    if settings.baseline is not None:
        return settings, None
    last = last_release(ledger, settings.agent_id)
    if last is None:
        return settings.model_copy(update={"baseline": SEED_TAG}), None
    same = workspace.snapshot(settings.candidate).tree == last.tree_after
    return settings.model_copy(update={"baseline": last.commit_after}), last if same else None


def _sealed(ledger: Ledger, settings: ReleaseSettings) -> tuple[Task, ...]:
    chosen, _ = choose_tasks(settings)
    found = releasable(ledger, chosen)
    if not found:
        problem = f"all {len(chosen)}, or copies of them, have taught this home's agents"
        expected = "tasks kept sealed by --sealed-ratio, or new ones"
        raise InputError("tasks", problem, expected)
    return found
