"""What gates decided, as Markdown."""

from grindstone.ledger.tables.runs import GateDecisionRow
from grindstone.report.model import RunReport
from grindstone.report.words import percent, table
from grindstone.text import count

WHILE_SEARCHING = (
    "These figures were met while searching: what was kept is partly what was lucky, and they are "
    "no gain. `grindstone release` announces one, from sealed tasks."
)
"""What a report says of gates of which there were many."""

VERDICTS = {"accept": "✓ accepted", "reject": "✗ rejected"}


def gate_headline(row: GateDecisionRow) -> str:
    """Return a decision in one line: verdict, mean scores before and after, their difference."""
    done = "accepted" if row.accepted else "rejected"
    mark = VERDICTS.get(row.verdict, f"? cannot tell, {done} by policy")
    if row.difference is None:
        return f"{mark}: nothing was seen"
    return (
        f"{mark}: {row.baseline_mean or 0:.0%} → {row.candidate_mean or 0:.0%} "
        f"({row.difference * 100:+.0f} points{' while searching' * row.while_searching})"
    )


def broke(row: GateDecisionRow) -> str:
    """Return what to say of attempts that broke where the other one has a score, or nothing."""
    if not row.n_broke_before and not row.n_broke_after:
        return ""
    sides = f"{row.n_broke_before} before, {row.n_broke_after} after"
    return f"attempts that broke, where the other side has a score, count as 0: {sides}"


def cut_short(row: GateDecisionRow) -> str:
    """Return what to say of a gate's figures where not all of its pairs were made, or nothing."""
    if not row.n_left_out:
        return ""
    planned = count(row.n_pairs + row.n_missing + row.n_left_out, "pair")
    return f"ended early, {row.n_left_out} of {planned} left out: the figures lean to the verdict"


def gates_section(report: RunReport) -> str:
    """Return what the run's gates decided, a line each; empty where there was none."""
    if not report.gates:
        return ""
    rows = [
        [
            gate.gate_id,
            gate.verdict.replace("_", " "),
            f"{percent(gate.baseline_mean)} → {percent(gate.candidate_mean)}",
            f"{gate.wins} / {gate.losses} / {gate.ties}",
            "-" if gate.p_value is None else f"{gate.p_value:.3f}",
            "; ".join(filter(None, [gate.reason, broke(gate), cut_short(gate)])),
        ]
        for gate in report.gates
    ]
    about = f"{report.gates_note}\n\n" if report.gates_note else ""
    head = ("gate", "verdict", "before → after", "better / worse / same", "p", "why")
    return "## Gate\n\n" + about + table(head, rows)
