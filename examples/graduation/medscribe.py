"""Clinical documentation: what a hospital's board is shown before an agent writes alone.

python examples/graduation/medscribe.py [home]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from generated import START, encounter, record

from grindstone.graduation import GraduationService
from grindstone.graduation.audit.trail import to_html


async def main(home: Path) -> None:
    """Record a hundred encounters over three levels and print the board's report."""
    service = GraduationService(home)
    levels = ["STUDENT"] * 20 + ["INTERN"] * 30 + ["SUPERVISED"] * 50
    works = [encounter(number, level) for number, level in enumerate(levels)]
    await record(service, works, "medscribe")
    if not service.registry.agent("medscribe_agent").changes:
        await service.enrol_agent(
            "medscribe_agent",
            "SUPERVISED",
            by="Clinical informatics",
            second="Head of documentation",
            reason="worked at this level before Grindstone",
            name="MedScribe Clinical Agent",
            since=START,
        )
    audit = await service.get_graduation_audit_trail("medscribe_agent")
    ready = await service.calculate_readiness_score("medscribe_agent", "AUTONOMOUS")
    print("MedScribe: report to the hospital's board")
    print("=========================================")
    print(f"Agent: {audit['agent_name']}")
    print(f"Current level: {audit['current_maturity']}")
    print(f"Clinical episodes: {audit['total_episodes']}")
    print(f"Interventions: {audit['total_interventions']}")
    print(f"Mean constitutional score (HIPAA): {audit['avg_constitutional_score']:.2f}")
    print(f"True intervention rate, at most: {audit['intervention_rate_upper']:.1%} (95%)")
    mark = "✓ record meets every criterion" if ready["ready"] else "✗ not ready"
    print(f"For autonomous operation: {mark} ({ready['score']}/100)")
    print("Episodes by level:")
    for level, count in audit["episodes_by_maturity"].items():
        print(f"- {level}: {count}")
    print("Latest:")
    for number, item in enumerate(audit["recent_episodes"][:3], start=1):
        print(
            f'{number}. "{item["title"]}": {item["human_intervention_count"]} interventions, '
            f"score {item['constitutional_score']}"
        )
    page = home / "medscribe.html"
    page.write_text(to_html(await service.trail("medscribe_agent")), "utf-8")
    print(f"The page for the board: {page}")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())))
