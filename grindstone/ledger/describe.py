"""The ledger's tables in words, for the documentation."""

from grindstone.ledger.columns import Column, Kind
from grindstone.ledger.row import Table
from grindstone.ledger.tables import TABLES

PREAMBLE = """\
# The ledger

Everything a run leaves behind is rows of parquet, appended and never changed:

    <home>/ledger/<table>/run=<run_key>/<digest of the rows' keys>.parquet

`grindstone.ledger.Ledger(home)` appends and reads them; any parquet reader reads them too.
Rows with the same key count once: the oldest part's, but an episode that an infrastructure
error left without a score gives way to the scored one that came later. A column that an
older part lacks is null. Times are UTC, durations seconds (`_s`), money US dollars (`_usd`).
`json` columns hold JSON as text.

No column is meant for an API key or an environment variable's value.
The verifier's own words, which may quote a task's tests, are in `verdicts.output` and
`test_results.message` alone. A solving agent is never shown these columns; how much of them
an evolver is shown is its feedback level's to say.
What an agent itself printed is in `trajectory_steps`, as it printed it.

This page is made from the row classes: `python -m grindstone.ledger.describe`.
"""

CONTENTS = (("table", "what a row is"), ("---", "---"))


def describe_tables() -> str:
    """Return the Markdown page that describes every table and column."""
    contents = [f"| [{table.name}](#{table.name}) | {table.about} |" for table in TABLES.values()]
    head = [f"| {' | '.join(line)} |" for line in CONTENTS]
    sections = [_section(table) for table in TABLES.values()]
    return "\n\n".join([PREAMBLE.strip(), "\n".join(head + contents), *sections]) + "\n"


def _section(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.full_key)
    rows = [f"| `{c.name}` | {_type(c)} | {_about(c)} |" for c in table.all_columns()]
    lines = ["| column | type | meaning |", "| --- | --- | --- |", *rows]
    return f"## {table.name}\n\n{table.about}\n\nKey: {key}.\n\n" + "\n".join(lines)


def _about(column: Column) -> str:
    text = " ".join(column.about.split()).replace("|", "\\|")
    return f"Derived. {text}" if column.derived else text


def _type(column: Column) -> str:
    return _kind(column.kind) + (", may be null" if column.nullable else "")


def _kind(kind: Kind) -> str:
    if kind.name == "list":
        return f"list of {_kind(kind.inner)}"
    if kind.name == "record":
        return f"struct ({', '.join(name for name, _ in kind.parts)})"
    return kind.name


if __name__ == "__main__":
    print(describe_tables(), end="")
