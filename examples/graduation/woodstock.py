"""Quotes around Woodstock, Ontario: ready only where its own episodes show it.

python examples/graduation/woodstock.py [home]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from generated import record, woodstock_sale

from grindstone.graduation import GraduationService


async def main(home: Path) -> None:
    """Record sales until fifty in a row went uncorrected, asking twice on the way."""
    service = GraduationService(home)
    first = [woodstock_sale(0, corrected=True), *(woodstock_sale(n) for n in range(1, 30))]
    await record(service, first, "woodstock-1")
    await show(service)
    await record(service, [woodstock_sale(n) for n in range(30, 60)], "woodstock-2")
    await show(service)


async def show(service: GraduationService) -> None:
    """Print the readiness of the tagged episodes."""
    found = await service.calculate_readiness_score("sales_bot", "AUTONOMOUS")
    observed = {item["name"]: item["observed"] for item in found["requirements"]}
    print("Readiness for Woodstock:")
    print(f"  Episodes: {observed['episodes']} (at least 50)")
    print(f"  Corrected among the latest 50: {observed['intervention_rate']} (must be 0)")
    print(f"  Canada's sales tax: {observed['constitutional_score']} (at least 0.95)")
    if found["ready"]:
        print("✓ The record allows autonomous Woodstock mails; exam and approval come next.")
    else:
        print("✗ Not yet: " + "; ".join(found["gaps"]))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())))
