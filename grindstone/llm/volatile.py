"""What differs between two runs of one command though nothing happened differently.

An attempt that a kill interrupted is made again from its first step, in a fresh sandbox,
and its paid answers come from the journal. `ls -l` then shows another minute and a test
report another duration: with those in a call's identity, every later call would be paid
for again. So clocks, dates, durations, temporary names and addresses take no part in it.
Any other difference does, and goes live.
"""

import re

from grindstone.llm.messages import Block, Message, Request, Text, ToolResult

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_PATTERNS = (
    r"\b\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?Z?|\b)",  # dates
    rf"\b(?:{_MONTHS})\w* +\d{{1,2}}\b(?:,? +\d{{4}}\b)?",
    rf"\b\d{{1,2}} +(?:{_MONTHS})\w*\b(?! +\d{{1,2}}\b)(?: +\d{{4}}\b)?",
    r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b",
    r"\b\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\b",  # clocks
    r"\b1[5-9]\d{8}(?:\.\d+)?\b",  # seconds since 1970
    r"\b\d+m\d+[.,]\d+s\b",  # durations, the shell's own first
    r"\b\d+(?:[.,]\d+)? ?(?:ns|us|µs|ms|s|secs?|seconds?|minutes?)\b",
    r"(?<=[/ ])tmp[._-]?\w{6,}",  # temporary names
    r"\b0x[0-9a-f]{6,16}\b",  # addresses
    r"\b(?:pid|PID)[ :=]+\d+",
    r"^\[\d+\] \d+$",  # a shell's word on a background job
)
_VOLATILE = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS), re.MULTILINE)


def masked(text: str) -> str:
    """Return a text with what time alone changes in it blotted out, and blanks run together."""
    return re.sub(r" {2,}", " ", _VOLATILE.sub("~", text))


def settled(request: Request) -> Request:
    """Return a request for its identity only: what the sandbox said is masked in it."""
    messages = tuple(
        message
        if message.role == "assistant"
        else Message(role="user", content=tuple(_settled(block) for block in message.content))
        for message in request.messages
    )
    return request.model_copy(update={"messages": messages})


def _settled(block: Block) -> Block:
    if isinstance(block, Text):
        return Text(text=masked(block.text))
    if isinstance(block, ToolResult):
        return block.model_copy(update={"content": masked(block.content)})
    return block
