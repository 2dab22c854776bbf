"""One tax agent, four provinces: each must have its own hundred episodes.

python examples/graduation/provinces.py [home]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from generated import RATES, record, tax_calculation

from grindstone.graduation import GraduationService


async def main(home: Path) -> None:
    """Record a hundred calculations for three provinces and sixty for the fourth."""
    service = GraduationService(home)
    for province in RATES:
        count = 60 if province == "AB" else 100
        works = [tax_calculation(number, province) for number in range(count)]
        await record(service, works, f"provinces-{province}")
    found = await service.calculate_readiness_score("tax_bot", "AUTONOMOUS")
    for province in RATES:
        own = {
            item["name"].removeprefix(f"{province}: "): item
            for item in found["requirements"]
            if item["name"].startswith(f"{province}: ")
        }
        print(
            f"{province}: {own['episodes']['observed']} episodes, "
            f"corrected {own['intervention_rate']['observed']}"
        )
        unmet = [item["gap"] for item in own.values() if not item["met"]]
        print(f"  ✗ {'; '.join(unmet)}" if unmet else f"  ✓ {province} meets its criteria")
    print("Ready as a whole." if found["ready"] else "Not ready as a whole.")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())))
