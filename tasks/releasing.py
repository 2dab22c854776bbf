"""A release's last steps: what it says, its certificate, its artifact."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from grindstone.attempt.account import Question, last_release
from grindstone.files import write_atomic
from grindstone.gate.paired import compare_paired
from grindstone.graduation.audit.signing import sign_message
from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import ExposureRow, ReleaseRow
from grindstone.ledger.tables.runs import GateDecisionRow, GatePairRow, RunRow
from grindstone.records import utc_now
from grindstone.report.certificate import certificate_markdown, certificate_of, release_headline
from grindstone.report.gate_page import as_pair
from grindstone.settings import ReleaseSettings
from grindstone.tasks.artifacts import artifact_key, publish_markdown
from grindstone.tasks.runtime import Runtime


async def record_release(
    runtime: Runtime,
    settings: ReleaseSettings,
    question: Question,
    exposure: ExposureRow,
    pairs: Sequence[GatePairRow],
) -> ReleaseRow:
    """Say what sealed tasks showed, once, and write and show the certificate.

    Args:
        runtime: The run's resources.
        settings: The run's.
        question: What was asked.
        exposure: What it was booked as.
        pairs: What was seen.
    """
    row = await asyncio.to_thread(_said, runtime, question, exposure, pairs)
    page = await asyncio.to_thread(_certify, runtime, settings.signing_key, question, row, pairs)
    # The row is the answer, and comes last: where it is, everything else is.
    for rows in (list(pairs), [row]):
        await asyncio.to_thread(runtime.ledger.append, rows, run_key=runtime.run_key)
    await publish_markdown(
        artifact_key("release", runtime.agent_id), page, description=release_headline(row)
    )
    return row


def _said(
    runtime: Runtime, question: Question, exposure: ExposureRow, pairs: Sequence[GatePairRow]
) -> ReleaseRow:
    seen = compare_paired(as_pair(pair) for pair in pairs)
    shared = ReleaseRow.model_fields.keys() & type(seen).model_fields.keys()
    before, after = question.arms.baseline, question.arms.candidate
    return ReleaseRow(
        run_key=runtime.run_key,
        query_id=exposure.query_id,
        agent_id=runtime.agent_id,
        claimed=seen.p_better <= exposure.level,
        alpha=exposure.alpha,
        level=exposure.level,
        nth=exposure.nth,
        trials=question.trials,
        gates=gates_since_release(runtime.ledger, runtime.agent_id),
        model=question.model,
        profile=question.profile,
        commit_before=before.commit,
        tree_before=before.tree,
        commit_after=after.commit,
        tree_after=after.tree,
        at=utc_now(),
        **{name: getattr(seen, name) for name in shared},
    )


def gates_since_release(ledger: Ledger, agent_id: str) -> int:
    """Return how many gates an agent's changes went through since its last release."""
    last = last_release(ledger, agent_id)
    runs = {row.run_key for row in ledger.rows(RunRow) if row.agent_id == agent_id}
    return sum(
        row.run_key in runs and (last is None or row.at > last.at)
        for row in ledger.rows(GateDecisionRow)
    )


def _certify(
    runtime: Runtime,
    signing_key: Path | None,
    question: Question,
    row: ReleaseRow,
    pairs: Sequence[GatePairRow],
) -> str:
    digests = {task.task_id: task.digest for task in question.tasks}
    found = certificate_of(row, list(pairs), digests)
    if signing_key is not None:
        _, public = sign_message(signing_key, b"")
        found = found.model_copy(update={"public_key": public})
        signature, _ = sign_message(signing_key, found.message())
        found = found.model_copy(update={"signature": signature})
    folder, page = runtime.home.run(runtime.run_key), certificate_markdown(found)
    write_atomic(folder.certificate, found.model_dump_json(indent=2) + "\n")
    write_atomic(folder.certificate.with_suffix(".md"), page)
    return page
