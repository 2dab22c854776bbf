"""What a release says, and its certificate."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from grindstone.attempt.account import Question, last_release
from grindstone.gate.paired import compare_paired
from grindstone.graduation.audit.signing import sign_message
from grindstone.home import RunFolder
from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import ExposureRow, ReleaseRow
from grindstone.ledger.tables.runs import GateDecisionRow, GatePairRow, RunRow
from grindstone.records import utc_now
from grindstone.remote.home_files import files_of
from grindstone.report.certificate import certificate_markdown, certificate_of
from grindstone.report.gate_page import as_pair


class SaidRelease(NamedTuple):
    """What a release says, and its certificate as a page."""

    row: ReleaseRow
    page: str


def record_release(
    ledger: Ledger,
    folder: RunFolder,
    question: Question,
    exposure: ExposureRow,
    pairs: Sequence[GatePairRow],
    *,
    agent_id: str,
    signing_key: Path | None,
) -> SaidRelease:
    """Say what sealed tasks showed, once, and write the certificate.

    Args:
        ledger: Where it is kept.
        folder: The run's, for the certificate.
        question: What was asked.
        exposure: What it was booked as.
        pairs: What was seen.
        agent_id: Who is released.
        signing_key: Signs the certificate; None: it goes unsigned.
    """
    row = _said(ledger, agent_id, question, exposure, pairs)
    page = _certify(folder, signing_key, question, row, pairs)
    # The row is the answer, and comes last: where it is, everything else is.
    for rows in (list(pairs), [row]):
        ledger.append(rows, run_key=row.run_key)
    return SaidRelease(row, page)


def _said(
    ledger: Ledger,
    agent_id: str,
    question: Question,
    exposure: ExposureRow,
    pairs: Sequence[GatePairRow],
) -> ReleaseRow:
    seen = compare_paired(as_pair(pair) for pair in pairs)
    shared = ReleaseRow.model_fields.keys() & type(seen).model_fields.keys()
    before, after = question.arms.baseline, question.arms.candidate
    return ReleaseRow(
        run_key=exposure.run_key,
        query_id=exposure.query_id,
        agent_id=agent_id,
        claimed=seen.p_better <= exposure.level,
        alpha=exposure.alpha,
        level=exposure.level,
        nth=exposure.nth,
        trials=question.trials,
        gates=gates_since_release(ledger, agent_id),
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
    folder: RunFolder,
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
    page = certificate_markdown(found)
    files = files_of(folder.root)
    files.write(folder.certificate, found.model_dump_json(indent=2) + "\n")
    files.write(folder.certificate.with_suffix(".md"), page)
    return page
