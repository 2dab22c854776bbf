"""What a run did not learn from, since it may not have been the agent, as Markdown."""

from grindstone.records import Outcome
from grindstone.report.model import RunReport
from grindstone.report.words import table

AGAIN = {
    Outcome.PASSED: "passed: nothing was learned from the failure",
    Outcome.FAILED: "failed again",
    Outcome.ERROR: "no score",
}


def confirmed_section(report: RunReport) -> str:
    """Return which failures were tried again and which tasks are at fault; empty for none."""
    parts: list[str] = []
    if report.tried_again:
        about = (
            "These failures looked like their surroundings' (network, time-outs, a service that "
            "was down) and were tried again in a fresh sandbox before they taught anything."
        )
        rows = [(each.task_id, str(each.cycle), AGAIN[each.outcome]) for each in report.tried_again]
        parts += [about, table(("task", "cycle", "tried again"), rows)]
    if report.quarantined:
        about = "These tasks are at fault themselves: nothing is learned from them for a week."
        ill = [(each.task_id, each.reason, "; ".join(each.signs)) for each in report.quarantined]
        parts += [about, table(("task in quarantine", "why", "signs"), ill)]
    return "\n\n".join(["## Failures that may not be the agent's", *parts]) if parts else ""
