"""Generated work for the examples: the same every time, and checked by the real rule packs."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grindstone.graduation import GraduationService, Work
from grindstone.graduation.constitution.checking import check
from grindstone.graduation.intake.recording import keep, rows_for
from grindstone.records import Purpose

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
CASE = Path(__file__).parent / "cases" / "quote-farm-tractor"


async def record(service: GraduationService, works: Iterable[Work], run_key: str) -> None:
    """Keep generated work and hold it against the constitution."""
    registry = service.registry
    rows = [
        rows_for(registry, work, run_key=run_key, purpose=Purpose.ROUTE, now=START)
        for work in works
    ]
    keep(registry, rows, run_key=run_key)
    await check(registry, [row.episode for row in rows])


def encounter(number: int, level: str) -> Work:
    """One clinical note: reviewed, signed, without an identifier in what is said."""
    return _work(
        number,
        agent_id="medscribe_agent",
        title=f"Clinical Documentation: Patient #{12300 + number}",
        maturity=level,
        topics=["clinical", "documentation"],
        category="clinical-notes",
        actions=[
            {"tool": "open_record", "fields": {"scope": "encounter"}},
            {"tool": "draft_note", "text": "Seen for a check of blood pressure; stable."},
            {"tool": "review_note", "fields": {"passes": 1}},
            {"tool": "sign_note", "fields": {"signed": True}},
        ],
    )


def woodstock_sale(number: int, *, corrected: bool = False) -> Work:
    """One quote to a farm near Woodstock; every third machine is free of HST."""
    farm = number % 3 == 0
    machine = "farm tractor" if farm else "industrial machinery"
    price, rate = 20000 + 500 * number, 0.0 if farm else 0.13
    edits = [
        {
            "field": "tax_rate",
            "original": "0.13",
            "correction": "0.0",
            "reason": "Agricultural machinery is free of HST",
            "corrected_by": "Tax desk",
        }
    ]
    return _work(
        number,
        agent_id="sales_bot",
        title=f"Woodstock Sale: {machine} - HST Calculation",
        tags=["woodstock", "sales"],
        topics=["hst", "ontario"],
        category="sales",
        metadata={"domain": "tax", "jurisdiction": "ON"},
        actions=[
            {
                "tool": "quote",
                "fields": {
                    "jurisdiction": "ON",
                    "item_kind": machine,
                    "power_kw": 75,
                    "subtotal": price,
                    "tax_rate": rate,
                    "tax": round(price * rate, 2),
                },
            }
        ],
        human_edits=edits if corrected else [],
    )


RATES = {"ON": 0.13, "BC": 0.12, "QC": 0.14975, "AB": 0.05}


def tax_calculation(number: int, province: str) -> Work:
    """One calculation for a province."""
    price = 1000 + number
    return _work(
        number,
        agent_id="tax_bot",
        title=f"{province}: HST Calculation for Invoice #{number}",
        tags=["tax", province.lower()],
        topics=["tax", "hst"],
        category="tax",
        metadata={"domain": "tax", "jurisdiction": province},
        actions=[
            {
                "tool": "calculate",
                "fields": {
                    "jurisdiction": province,
                    "subtotal": price,
                    "tax_rate": RATES[province],
                    "tax": round(price * RATES[province], 4),
                },
            }
        ],
    )


def _work(number: int, **more: Any) -> Work:
    return Work.model_validate(
        {
            "episode_id": f"{more['agent_id']}-{more.get('title', '')}-{number}",
            "success": True,
            "started_at": START + timedelta(minutes=10 * number),
            "confidence": 0.9,
            "ratings": [{"rated_by": "Reviewer", "stars": 5}],
            "skills": [f"skill-{number % 12}"],
            "verified_by": "Reviewer",
        }
        | more
    )
