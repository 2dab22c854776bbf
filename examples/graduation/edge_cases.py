"""A failure becomes an edge case, and another agent is examined on it before it is promoted.

    python examples/graduation/edge_cases.py [home]

The exam really runs: the agent is the oracle here, which plays the task's own solution, so
that the example needs no model. Such an exam is a rehearsal and counts only because the policy
here says so. It takes a sandbox: Docker, or bubblewrap.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from generated import CASE, record, woodstock_sale

from grindstone.errors import RefusedError
from grindstone.flows.serving.server import server_for
from grindstone.graduation import GraduationPolicy, GraduationService, Work
from grindstone.settings import GraduationSettings, Profile


async def main(home: Path) -> None:
    """Refuse, examine, promote."""
    from grindstone.flows.exam import examiner  # noqa: PLC0415 - reads the server's address when imported

    settings = GraduationSettings(work_dir=home, native_profile=Profile.ORACLE)
    rehearsing = GraduationPolicy(name="example", rehearsals=True)
    service = GraduationService(home, policies=[rehearsing], examiner=examiner(settings))
    ready = [
        Work.model_validate(woodstock_sale(n).model_dump() | {"agent_id": "student_agent"})
        for n in range(12)
    ]
    failed = woodstock_sale(0, corrected=True).model_dump() | {
        "agent_id": "archive_failed_agent",
        "episode_id": "edge-origin",
        "success": False,
        "title": "Edge Case: HST on agricultural machinery",
    }
    await record(service, [*ready, Work.model_validate(failed)], "edge-cases")
    try:
        await service.promote_agent("student_agent", "INTERN", validated_by="Grace")
    except RefusedError as error:
        print(error)
    case = await service.add_edge_case(
        "edge-origin", CASE, added_by="Grace", description="charged HST on exempt equipment"
    )
    result = await service.run_graduation_exam("student_agent", [case.case_id])
    print(f"Exam passed: {result['passed']} ({result['score']}/100; {result['reason']})")
    if result["passed"]:
        change = await service.promote_agent("student_agent", "INTERN", validated_by="Grace")
        print(f"{change['previous_maturity']} → {change['new_maturity']}, event {change['event']}")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    with server_for(folder):
        asyncio.run(main(folder))
