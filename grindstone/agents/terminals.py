"""What the `terminus2` profiles type into.

`TmuxTerminal` is a real terminal: keystrokes go in, time passes, the screen is read. The wait
ends early when the shell is back at its prompt: nothing more would come.
`PlainTerminal` stands in where a sandbox has no tmux: each line typed runs to its end in
a shell of its own that takes over folder and exported variables from the one before.
"""

import base64
import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from grindstone.agents.limits import KEPT_BYTES, Meter
from grindstone.agents.terminus_answer import Keystrokes
from grindstone.errors import Cause, InfrastructureError
from grindstone.records import ToolOutput
from grindstone.sandbox.protocol import ExecResult, Sandbox
from grindstone.text import shorten

NOT_TYPED = "Not typed: the attempt's time is over."


class Typed(NamedTuple):
    """What came of one answer's commands."""

    outputs: tuple[ToolOutput, ...]  # one per command, in order
    shown: str  # for the model


class Terminal(Protocol):
    """Somewhere to type."""

    async def open(self) -> str:
        """Return what the terminal shows at first."""
        ...

    async def type(self, commands: Sequence[Keystrokes], call_ids: Sequence[str]) -> Typed:
        """Type the commands in order, waiting after each."""
        ...

    async def close(self, *, end_foreground: bool) -> None:
        """Let go of it; with `end_foreground` what still runs in front is ended."""
        ...


async def has_tmux(sandbox: Sandbox, meter: Meter) -> bool:
    """Whether the sandbox has tmux."""
    run = await sandbox.exec("command -v tmux", timeout_s=meter.command_timeout_s())
    return run.exit_code == 0


_TMUX = "tmux -u -L grindstone -f /dev/null"
_PANE = "-t grindstone"
_ROWS = 40
_HISTORY_LINES = 5_000
_CAPTURE = f"{_TMUX} capture-pane -p -S - {_PANE}"
_OPEN = (
    "export TERM=xterm-256color SHELL=/bin/bash; "
    # On a busy machine tmux may give up on a server that it has just started.
    f"tries=0; until {_TMUX} has-session {_PANE} 2>/dev/null || "
    f"{_TMUX} start-server \\; set-option -g history-limit {_HISTORY_LINES} \\; "
    f"new-session -d -x 160 -y {_ROWS} -s grindstone -c {{workdir}} bash; do "
    "tries=$((tries + 1)); [ $tries -lt 3 ] || exit 1; sleep 0.5; done; "
    f'for try in {{{{1..40}}}}; do [ -n "$({_CAPTURE})" ] && break; sleep 0.05; done'
)
_KEY = re.compile(
    r"(?:[CMS]-)+\S|(?:[CMS]-)*(?:Enter|Escape|Tab|BTab|BSpace|Space|Up|Down|Left|Right|Home|End"
    r"|PageUp|PageDown|PPage|NPage|DC|IC|F[1-9][0-2]?)"
)
_SETTLE = rf"""
look() {{
  mapfile -t screen < <({_TMUX} display-message -p {_PANE} \
    '#{{pane_pid}} #{{history_size}}:#{{cursor_y}}' \; capture-pane -p {_PANE})
  now=${{screen[0]}}; [ -n "$now" ]
}}
process() {{ {{ read -r line < "$1"; }} 2>/dev/null || return 1; fields=(${{line##*) }}); }}
idle() {{
  look; [ "$now" != "$before" ] || return 1
  process "/proc/$pid/stat" && [ "${{fields[0]}}" = S ] && [ "${{fields[5]}}" = "$pid" ] || return 1
  for other in /proc/[0-9]*/stat; do
    if process "$other" && [ "${{fields[2]}}" = "$pid" ] && [ "$other" != "/proc/$pid/stat" ]; then
      return 1
    fi
  done
  [[ ${{screen[${{now#*:}} + 1]}} =~ [\$#%\>]\ ?$ ]]
}}
clock() {{
  ms=${{EPOCHREALTIME/[.,]/}}; ms=${{ms%???}}  # bash 5; an older one asks a program
  [ -n "$ms" ] || ms=$(($(date +%s%N) / 1000000))
}}
look || exit 1; before=$now; pid=${{before% *}}
SEND || exit 1
clock; end=$((ms + MILLISECONDS)); calm=0; nap=30
while clock; [ "$ms" -lt "$end" ] && [ "$calm" -lt 2 ]; do
  sleep "0.0$nap"
  if idle; then calm=$((calm + 1)); nap=20; else calm=0; [ $nap -ge 90 ] || nap=$((nap + 10)); fi
done
"""
"""Sends a line and waits as asked, or until the shell sits at its prompt again.

The shell is idle when the cursor stands behind a prompt on another line than before, the
shell sleeps, is the terminal's group in front, and has no child in that group (a command
substitution, say). Twice in a row, so that a gap between two pasted lines does not count: between
the looks tmux, which answered the first, has written on what was left of the paste.
Most lines end at once: the first looks come soon, later ones less often.
"""

_GRACE_S = 15.0
"""Time tmux itself may take beyond the wait that was asked for."""


class TmuxTerminal:
    """A tmux session of 160 by 40 in the sandbox."""

    def __init__(self, sandbox: Sandbox, meter: Meter) -> None:
        self._sandbox = sandbox
        self._meter = meter
        self._seen = ""

    async def open(self) -> str:
        """Start the session and return its screen."""
        script = _OPEN.format(workdir=shlex.quote(self._sandbox.workdir))
        run = await self._sandbox.exec(f"{script}; {_CAPTURE}", timeout_s=_GRACE_S * 2)
        if run.exit_code != 0:
            raise InfrastructureError(Cause.SANDBOX_IO, f"tmux did not start: {run.output[-500:]}")
        self._seen = ""
        return self._read(run.output)

    async def type(self, commands: Sequence[Keystrokes], call_ids: Sequence[str]) -> Typed:
        """Type the commands; the screen is read once, after the last."""
        outputs: list[ToolOutput] = []
        run: ExecResult | None = None
        for command, call_id in zip(commands, call_ids, strict=True):
            wait_s = min(command.duration_s, left_s := self._meter.remaining_s)
            if left_s <= 0 or (run is not None and run.exit_code != 0):
                outputs.append(ToolOutput(call_id=call_id, content=NOT_TYPED, is_error=True))
                continue
            run = await self._send(command.text, wait_s)
            outputs.append(ToolOutput(call_id=call_id, content="", duration_s=run.duration_s))
        run = run or await self._sandbox.exec(_CAPTURE, timeout_s=_GRACE_S)
        shown = self._read(run.output) if run.exit_code == 0 else await self._reopen()
        if outputs:
            outputs[-1] = outputs[-1].model_copy(
                update={"content": (outputs[-1].content + shown)[:KEPT_BYTES]}
            )
        return Typed(tuple(outputs), shorten(shown))

    async def close(self, *, end_foreground: bool) -> None:
        """Leave the session to what runs in it, or end what runs in front."""
        if not end_foreground:
            return
        # Field 8 of stat, counted after the parenthesised name, is the group in front.
        await self._sandbox.exec(
            f"p=$({_TMUX} display-message -p {_PANE} '#{{pane_pid}}') && "
            "g=$(sed 's/.*) //' /proc/$p/stat | cut -d' ' -f6) && "
            '[ "$g" != "$p" ] && kill -KILL -- -"$g"',
            timeout_s=_GRACE_S,
        )

    async def _send(self, text: str, wait_s: float) -> ExecResult:
        if _KEY.fullmatch(text):
            send, stdin = f"{_TMUX} send-keys {_PANE} {shlex.quote(text)}", None
        elif text:
            # A pasted buffer takes any text of any length; line feeds arrive as Enter.
            send = f"{_TMUX} load-buffer -b typed - \\; paste-buffer -d -b typed {_PANE}"
            stdin = text.encode(errors="replace")
        else:
            send, stdin = f"{_TMUX} has-session {_PANE}", None
        if text.endswith(("\n", "\r", "Enter")):
            script = _SETTLE.replace("MILLISECONDS", str(int(wait_s * 1000)))
            script = script.replace("SEND", send)
        else:
            script = f"{send} && sleep {wait_s:.3f} || exit 1"
        return await self._sandbox.exec(
            f"{{ {script}\n}} >/dev/null 2>&1; {_CAPTURE}", timeout_s=wait_s + _GRACE_S, stdin=stdin
        )

    def _read(self, output: str) -> str:
        new = new_output(self._seen, output)
        self._seen = output
        screen = "\n".join(output.split("\n")[-_ROWS - 1 :])  # the last one is empty
        if new is None or not new.strip():
            return f"Current terminal screen:\n{screen.rstrip()}\n"
        return f"New terminal output:\n{new.rstrip()}\n"

    async def _reopen(self) -> str:
        return "The terminal had ended; a new one was started.\n" + await self.open()


def new_output(before: str, now: str) -> str | None:
    """Return what a terminal's history gained, None where it does not continue the old one.

    The last line of the old history (the prompt that was typed into) is part of the gain.
    """
    known = before.rstrip("\n")
    if not known:
        return None
    kept, _, last = known.rpartition("\n")
    head = f"{kept}\n" if kept else ""
    if not now.startswith(head + last.rstrip()):
        return None
    gained = now[len(head) :]
    return "" if gained.strip() == last.strip() else gained


_STATE_MARK = "\x1egrindstone-state\x1e"
_LEAVE_STATE = (
    f'trap \'e=$?; printf "\\n{_STATE_MARK}%s\\n" '
    '"$({ printf "cd -- %q\\n" "$PWD"; declare -px; } 2>/dev/null | base64 -w0)"; exit $e\' EXIT'
)
_PLAIN_NOTE = (
    "This is a plain shell: each line you send runs to its end before the next, and programs that\n"
    "wait for keys see the end of input. Folder and exported variables are kept.\n"
)
_ENDED = "[ended at its time limit; the output up to then is above]"


class PlainTerminal:
    """One shell per line typed; text without a line break waits for the rest of its line."""

    def __init__(self, sandbox: Sandbox, meter: Meter) -> None:
        self._sandbox = sandbox
        self._meter = meter
        self._state = ""
        self._unsent = ""

    async def open(self) -> str:
        """Return what there is to know."""
        return f"{_PLAIN_NOTE}Current directory: {self._sandbox.workdir}\n"

    async def type(self, commands: Sequence[Keystrokes], call_ids: Sequence[str]) -> Typed:
        """Run each command to its end or its limit, whatever duration was asked for."""
        outputs: list[ToolOutput] = []
        shown: list[str] = []
        for command, call_id in zip(commands, call_ids, strict=True):
            output = await self._run(command, call_id)
            outputs.append(output)
            note = _ENDED if output.timed_out else ""
            if output.exit_code and not note:
                note = f"[exit code {output.exit_code}]"
            text = "\n".join(filter(None, (output.content.rstrip("\n"), note)))
            shown.append(f"$ {command.text.rstrip()}\n{text}".rstrip())
        return Typed(tuple(outputs), shorten("New terminal output:\n" + "\n".join(shown) + "\n"))

    async def close(self, *, end_foreground: bool) -> None:
        """Nothing is left in front."""

    async def _run(self, command: Keystrokes, call_id: str) -> ToolOutput:
        if _KEY.fullmatch(command.text):
            self._unsent = ""
            return ToolOutput(call_id=call_id, content="(no program is waiting for keys)")
        self._unsent += command.text
        if not self._unsent.strip():
            self._unsent = ""
            return ToolOutput(call_id=call_id, content="")
        if not command.text.endswith(("\n", "\r")):
            return ToolOutput(
                call_id=call_id, content="(typed, and not yet sent with a line break)"
            )
        line, self._unsent = self._unsent, ""
        if self._meter.remaining_s <= 0:
            return ToolOutput(call_id=call_id, content=NOT_TYPED, is_error=True)
        run = await self._sandbox.exec(
            f"{self._state}\n{_LEAVE_STATE}\n{line}",
            timeout_s=self._meter.command_timeout_s(),
            max_output_bytes=KEPT_BYTES,
        )
        text, mark, state = run.output.rpartition(f"\n{_STATE_MARK}")
        if mark:
            self._state = base64.b64decode(state.split("\n", 1)[0]).decode(errors="replace")
        return ToolOutput(
            call_id=call_id,
            content=text if mark else run.output,
            exit_code=run.exit_code,
            timed_out=run.timed_out,
            duration_s=run.duration_s,
        )
