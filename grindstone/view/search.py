"""A text looked for in all that was said, run and printed."""

import time

from grindstone.errors import InputError
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import StepRow
from grindstone.records import Episode, Outcome
from grindstone.report.run_list import find_run
from grindstone.view.documents import FoundStep, SearchDocument

SHORTEST = 2
MOST = 200
AROUND = 120
"""Characters shown on each side of what was found."""


def search_document(ledger: Ledger, text: str, run_key: str | None = None) -> SearchDocument:
    """Return the first steps that hold a text, whatever the case of its letters.

    Args:
        ledger: The home's.
        text: To look for.
        run_key: In this run alone, its key or the start of it; None: in all.

    Raises:
        InputError: The text is too short, or there is no such run.
    """
    import polars as pl

    if len(text) < SHORTEST:
        raise InputError("text", f"is {text!r}", f"{SHORTEST} characters or more")
    run_key = None if run_key is None else find_run(ledger, run_key)
    began = time.perf_counter()
    words = (
        pl.col("message"),
        pl.col("reasoning"),
        pl.col("calls").list.eval(pl.element().struct.field("arguments")).list.join("\n"),
        pl.col("outputs").list.eval(pl.element().struct.field("content")).list.join("\n"),
    )
    found = (
        ledger.scan(StepRow, run_key)
        .select(
            "episode_id",
            "index",
            "kind",
            pl.concat_str(words, separator="\n", ignore_nulls=True).alias("text"),
        )
        .filter(pl.col("text").str.contains_any([text], ascii_case_insensitive=True))
        .head(MOST + 1)
        .collect()
    )
    told = _episodes(ledger, found["episode_id"].unique().to_list())
    steps = [
        FoundStep(
            **told[row["episode_id"]],
            episode_id=row["episode_id"],
            index=row["index"],
            kind=row["kind"],
            excerpt=_excerpt(row["text"], text),
        )
        for row in found.head(MOST).iter_rows(named=True)
        if row["episode_id"] in told
    ]
    return SearchDocument(
        text=text,
        found=tuple(steps),
        more=found.height > MOST,
        seconds=time.perf_counter() - began,
    )


def _episodes(ledger: Ledger, ids: list[str]) -> dict[str, dict[str, object]]:
    import polars as pl

    rows = ledger.scan(Episode).filter(pl.col("episode_id").is_in(ids))
    frame = rows.select("episode_id", "run_key", "task_id", "outcome").collect()
    return {
        row.pop("episode_id"): row | {"outcome": Outcome(row["outcome"])}
        for row in frame.to_dicts()
    }


def _excerpt(text: str, wanted: str) -> str:
    at = max(0, text.lower().find(wanted.lower()))
    start, end = max(0, at - AROUND), at + len(wanted) + AROUND
    cut = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{cut}{'…' if end < len(text) else ''}"
