from pathlib import Path

from grindstone.ledger.describe import describe_tables
from grindstone.ledger.tables import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == describe_tables(), (
        "docs/ledger.md is stale: run `python -m grindstone.ledger.describe > docs/ledger.md`"
    )


def test_every_table_says_what_it_is_and_has_its_key_among_its_columns() -> None:
    for table in TABLES.values():
        assert table.about.endswith(".")
        assert set(table.full_key) <= set(table.schema().names())
        assert not set(table.key) & {"at", "started_at", "ended_at"}
