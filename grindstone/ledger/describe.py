"""The ledger's tables in words, for the documentation."""

from grindstone.ledger.columns import Column, Kind
from grindstone.ledger.row import Table
from grindstone.ledger.tables import TABLES

PREAMBLE = """\
# Ledger tables

What all tables have in common, and how to read them, is said in [the ledger](../ledger.md).
"""

CONTENTS = (("table", "what a row is"), ("---", "---"))


def describe_tables() -> str:
    """Return every table and column as a Markdown page of the documentation."""
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
