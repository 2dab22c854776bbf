"""A trajectory in a few hundred tokens: how it began, what failed, what looped, how it ended."""

from grindstone.observe.calls import Call, calls_of, error_excerpt
from grindstone.observe.signals import extract_signals
from grindstone.records import Trajectory

BYTES_PER_TOKEN = 3
"""Below the four or so of English prose: commands and logs split into shorter tokens."""

ENDS = 3  # commands kept at each end
_WIDTHS = (1200, 600, 300, 120, 40)


def estimate_tokens(text: str) -> int:
    """Return a cautious estimate of a text's tokens, without a tokenizer."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def compress(trajectory: Trajectory, token_budget: int) -> str:
    """Return the first three commands, every error, the loops and the last three commands.

    Over budget, excerpts are shortened first, then errors in the middle are left out (and
    counted). The first and last three commands stay, each cut to what room there is.

    Args:
        trajectory: What the agent did.
        token_budget: Upper bound of `estimate_tokens` of the result.
    """
    calls = [call for call in calls_of(trajectory) if call.command]
    head = calls[:ENDS]
    tail = calls[max(ENDS, len(calls) - ENDS) :]
    ends = {id(call) for call in (*head, *tail)}
    errors = [call for call in calls if call.failed and id(call) not in ends]
    loops = [
        f"- `{x.command[:200]}` x{x.count}" for x in extract_signals(trajectory).repeated_commands
    ]
    closing = trajectory.submission.strip()

    def render(width: int, kept: list[Call]) -> str:
        dropped = len(errors) - len(kept)
        sections = [
            ("First commands", [_entry(call, width) for call in head]),
            ("Errors", [_entry(call, width) for call in kept]),
            ("Errors left out", [f"{dropped} more"] if dropped else []),
            ("Loops", [loop[: width + 20] for loop in loops[:10]]),
            ("Last commands", [_entry(call, width) for call in tail]),
            ("Ended", [trajectory.stop_reason.value, closing[:width]]),
        ]
        return "\n".join(
            f"### {title}\n" + "\n".join(part for part in parts if part)
            for title, parts in sections
            if parts
        )

    text = ""
    for width in _WIDTHS:
        text = render(width, errors)
        if estimate_tokens(text) <= token_budget:
            return text
    kept = list(errors)
    while kept:
        # From the middle: the first error often is the cause, the last one what is left of it.
        kept = kept[: len(kept) // 4] + kept[len(kept) - len(kept) // 4 :] if len(kept) > 3 else []
        text = render(_WIDTHS[-1], kept)
        if estimate_tokens(text) <= token_budget:
            return text
    return _squeeze(head, tail, token_budget)


def _entry(call: Call, width: int) -> str:
    command = call.command if len(call.command) <= width else call.command[: width - 1] + "…"
    if call.output is None:
        return f"$ {command}"
    output = call.output
    status = "timed out" if output.timed_out else ""
    if not status and output.exit_code is not None:
        status = f"exit {output.exit_code}"
    if not status and call.failed:
        status = "error"
    excerpt = error_excerpt(output.content, width) if output.content.strip() else ""
    first = f"$ {command}" + (f"  [{status}]" if status else "")
    return f"{first}\n{excerpt}" if excerpt else first


def _squeeze(head: list[Call], tail: list[Call], token_budget: int) -> str:
    """Share what room there is equally among the commands of both ends."""
    calls = [*head, *tail]
    room = max(0, token_budget * BYTES_PER_TOKEN) // max(1, len(calls)) - 1
    lines = (f"$ {call.command}".encode()[: max(0, room)] for call in calls)
    return "\n".join(line.decode(errors="ignore") for line in lines if line)
