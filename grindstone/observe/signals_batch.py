"""`extract_signals` for a whole table of steps at once, in polars.

The input is the ledger's table of trajectory steps: one row per step with the columns
`episode_id` (text), `index` (integer), `kind` (text), `calls` (list of structs: call_id,
name, arguments as JSON text) and `outputs` (list of structs: call_id, content, is_error,
exit_code, timed_out). Both ways agree on every field; a test holds them side by side.
"""

import polars as pl

from grindstone.observe.calls import COMMAND_ARGUMENTS, ERROR_PATTERN, excerpt_at
from grindstone.observe.signals import LOOP, SNIPPET_CHARS, SNIPPETS
from grindstone.records import StepKind, StopReason

_EPISODE = "episode_id"


def signals_frame(steps: pl.DataFrame, ends: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return one row per episode, sorted by `episode_id`.

    Args:
        steps: The steps, in any order.
        ends: `episode_id`, `stop_reason` and `submission`, one row per episode; without it
            `submitted` and `submission` are left out.

    Returns:
        Columns `episode_id`, `n_turns`, `n_tool_calls`, `n_errors`, `n_timeouts`,
        `tools_used` (list of structs: tool, count), `repeated_commands` (list of structs:
        command, count), `error_snippets` (list of text), and those of `ends`.
    """
    ordered = steps.lazy().sort(_EPISODE, "index")
    calls = _calls(ordered).collect()
    turns = ordered.group_by(_EPISODE).agg(
        (pl.col("kind") == StepKind.AGENT.value).sum().cast(pl.Int64).alias("n_turns")
    )
    counts = (
        calls.lazy()
        .group_by(_EPISODE)
        .agg(
            pl.len().cast(pl.Int64).alias("n_tool_calls"),
            pl.col("failed").sum().cast(pl.Int64).alias("n_errors"),
            pl.col("timed_out").sum().cast(pl.Int64).alias("n_timeouts"),
        )
    )
    tools = (
        calls.lazy()
        .group_by(_EPISODE, pl.col("name").alias("tool"))
        .agg(pl.len().cast(pl.Int64).alias("count"))
        .sort(_EPISODE, "tool")
        .group_by(_EPISODE, maintain_order=True)
        .agg(pl.struct("tool", "count").alias("tools_used"))
    )
    loops = (
        calls.lazy()
        .filter(pl.col("command") != "")
        .group_by(_EPISODE, "command")
        .agg(pl.len().cast(pl.Int64).alias("count"))
        .filter(pl.col("count") >= LOOP)
        .sort(_EPISODE, "count", "command", descending=[False, True, False])
        .group_by(_EPISODE, maintain_order=True)
        .agg(pl.struct("command", "count").alias("repeated_commands"))
    )
    joined = turns
    for part in (counts, tools, loops, _snippets(calls).lazy()):
        joined = joined.join(part, on=_EPISODE, how="left")
    if ends is not None:
        submitted = pl.col("stop_reason") == StopReason.SUBMITTED.value
        told = ends.lazy().select(_EPISODE, submitted.alias("submitted"), "submission")
        joined = joined.join(told, on=_EPISODE, how="left")
    return (
        joined.with_columns(
            pl.col("n_tool_calls", "n_errors", "n_timeouts").fill_null(0),
            pl.col("tools_used", "repeated_commands", "error_snippets").fill_null([]),
        )
        .sort(_EPISODE)
        .collect()
    )


def _calls(steps: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per call with its output, `command` normalised and `failed` decided."""
    calls = (
        steps.select(_EPISODE, "index", "calls")
        .explode("calls")
        .filter(pl.col("calls").is_not_null())
        .unnest("calls")
    )
    outputs = (
        steps.select(_EPISODE, "index", "outputs")
        .explode("outputs")
        .filter(pl.col("outputs").is_not_null())
        .unnest("outputs")
        .select(_EPISODE, "index", "call_id", "content", "is_error", "exit_code", "timed_out")
        .unique([_EPISODE, "index", "call_id"], keep="last", maintain_order=True)
    )
    by_flag = pl.col("is_error") | pl.col("timed_out")
    # Text is searched only where nothing better is known: the rest never leaves its column.
    by_text = (
        pl.when(pl.col("exit_code").is_null() & ~by_flag & pl.col("is_command"))
        .then(pl.col("content"))
        .str.contains(ERROR_PATTERN)
    )
    failed = by_flag | (pl.col("exit_code") != 0).fill_null(False) | by_text.fill_null(False)
    return (
        calls.with_columns(
            _command().alias("command"), pl.col("name").is_in(COMMAND_ARGUMENTS).alias("is_command")
        )
        .join(outputs, on=[_EPISODE, "index", "call_id"], how="left", maintain_order="left")
        .with_columns(failed.fill_null(False).alias("failed"), pl.col("timed_out").fill_null(False))
        .select(_EPISODE, "index", "name", "command", "content", "failed", "timed_out")
    )


def _command() -> pl.Expr:
    plain = pl.concat_str(pl.col("name"), pl.lit(" "), pl.col("arguments"))
    chosen: pl.Expr = plain
    for tool, argument in COMMAND_ARGUMENTS.items():
        text = pl.col("arguments").str.json_path_match(f"$.{argument}").fill_null("")
        spaced = text.str.replace_all(r"\s+", " ").str.strip_chars()
        chosen = pl.when(pl.col("name") == tool).then(spaced).otherwise(chosen)
    return chosen


def _snippets(calls: pl.DataFrame) -> pl.DataFrame:
    """Return the first failing calls' excerpts; few enough to be cut one by one."""
    first = (
        calls.lazy()
        .filter(pl.col("failed") & pl.col("content").is_not_null())
        .group_by(_EPISODE, maintain_order=True)
        .head(SNIPPETS)
        .select(_EPISODE, pl.col("command").str.slice(0, 200), pl.col("content").str.strip_chars())
        .with_columns(pl.col("content").str.find(ERROR_PATTERN).alias("at"))
        .collect()
    )
    texts = [
        f"$ {command}\n{excerpt_at(content, SNIPPET_CHARS, _in_characters(content, at))}"
        for _, command, content, at in first.iter_rows()
    ]
    return (
        first.select(_EPISODE)
        .with_columns(pl.Series("error_snippets", texts, dtype=pl.String))
        .group_by(_EPISODE, maintain_order=True)
        .agg("error_snippets")
    )


def _in_characters(text: str, at_byte: int | None) -> int | None:
    if at_byte is None or text.isascii():
        return at_byte
    return len(text.encode()[:at_byte].decode(errors="ignore"))
