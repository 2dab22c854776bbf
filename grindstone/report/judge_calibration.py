"""How far a run's judge can be trusted: its scores held against the verdicts."""

from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import JudgeVerdictRow, VerdictRow
from grindstone.observe.calibration import Calibration, calibrate
from grindstone.text import count


def judge_calibration(ledger: Ledger, run_key: str) -> Calibration | None:
    """Return how a run's judge agrees with the verdicts; None where there is no pair.

    To be shown when a run is over: nothing of it may come before judge or evolver.
    """
    passed = {row.episode_id: row.passed for row in ledger.rows(VerdictRow, run_key)}
    scores = {
        row.episode_id: row.score
        for row in ledger.rows(JudgeVerdictRow, run_key)
        if row.score is not None and row.episode_id in passed
    }
    if not scores:
        return None
    return calibrate(list(scores.values()), [passed[key] for key in scores])


def calibration_sentence(found: Calibration | None) -> str:
    """Return a calibration in one sentence."""
    if found is None:
        return "The judge cannot be calibrated: no attempt has both a score and a verdict."
    auc = "unknown, as all outcomes are the same" if found.auc is None else f"{found.auc:.2f}"
    return (
        f"The judge against the verdicts of {count(found.n, 'attempt')} ({found.n_passed} passed): "
        f"agreement {found.agreement:.0%}, Brier score {found.brier:.3f}, AUC {auc}."
    )
