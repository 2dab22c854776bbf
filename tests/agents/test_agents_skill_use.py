"""Which skills an attempt loaded and followed."""

from typing import Any

import pytest

from grindstone.agents import skill_uses
from grindstone.agents.commands import simple_commands, taught_commands
from grindstone.agents.skill_use import SkillUse
from grindstone.records import Step, StepKind, StopReason, ToolCall, ToolOutput, Trajectory, utc_now

SKILL = """---
name: tables
description: When a task reads tables.
---
## Workflow

```bash
# look first
file data.csv
sudo  iconv -f latin1 -t utf-8 <input> | head
python3 - "$FILE" <<'PY'
import csv
print(1)
PY
```

```python
print("not a command")
```

```console
$ make check
ok
```
"""


def use(*calls: tuple[str, dict[str, Any]], error: bool = False) -> SkillUse:
    asked = tuple(
        ToolCall(call_id=str(n), name=name, arguments=arguments)
        for n, (name, arguments) in enumerate(calls)
    )
    outputs = tuple(ToolOutput(call_id=c.call_id, content="", is_error=error) for c in asked)
    step = Step(index=0, kind=StepKind.AGENT, calls=asked, outputs=outputs, at=utc_now())
    trajectory = Trajectory(steps=(step,), stop_reason=StopReason.SUBMITTED)
    (found,) = skill_uses("episode", trajectory, {"tables": SKILL})
    return found


def bash(command: str) -> tuple[str, dict[str, Any]]:
    return "bash", {"command": command}


LOAD = ("load_skill", {"name": "tables"})


@pytest.mark.parametrize(
    "call",
    [
        LOAD,
        ("read_skill", {"name": "tables"}),
        ("read_file", {"path": "/root/.claude/skills/tables/SKILL.md"}),
        bash("cat /root/.agents/skills/tables/SKILL.md"),
        bash("ls; less ~/.codex/skills/tables/SKILL.md | head"),
        bash('head -n 50 "$HOME/.terminus/skills/tables/SKILL.md"'),
        bash("cd /root/.agents/skills/tables && cat SKILL.md"),
        bash("cat /root/.agents/skills/*/SKILL.md"),
        ("keystrokes", {"keystrokes": "cat /root/.claude/skills/tables/SKILL.md\n"}),
    ],
)
def test_loading_is_seen(call: tuple[str, dict[str, Any]]) -> None:
    found = use(call)
    assert found.offered
    assert found.loaded
    assert not found.followed


@pytest.mark.parametrize(
    "call",
    [
        ("load_skill", {"name": "other"}),
        ("list_skills", {}),
        bash("ls /root/.agents/skills/tables"),
        bash("cat /root/.agents/skills/other-tables/SKILL.md"),
        bash("cat /app/tables/SKILL.md"),
    ],
)
def test_what_is_no_loading(call: tuple[str, dict[str, Any]]) -> None:
    assert not use(call).loaded


def test_a_load_that_failed_is_none() -> None:
    assert not use(LOAD, error=True).loaded


def test_following_is_the_share_of_taught_commands_that_were_run() -> None:
    assert len(taught_commands(SKILL)) == 5  # file, iconv, head, python3, make
    none = use(LOAD, bash("ls"))
    assert (none.matched_commands, none.taught_commands, none.followed) == (0, 5, False)
    some = use(
        LOAD,
        bash("cd /app && file   data.csv"),
        bash("iconv -f latin1 -t utf-8 'my table.csv' | head -n 3"),
    )
    assert (some.matched_commands, some.followed) == (3, True)
    every = use(
        LOAD,
        bash("file data.csv; iconv -f latin1 -t utf-8 x|head\nmake check -j2"),
        bash("python3 - /app/x.csv <<'EOF'\nimport csv\n\nprint(1)\nEOF"),
    )
    assert every.matched_commands == 5
    unread = use(bash("file data.csv; iconv -f latin1 -t utf-8 x | head; make check"))
    assert (unread.loaded, unread.matched_commands, unread.followed) == (False, 4, False)


def test_commands_are_compared_word_by_word() -> None:
    script = (
        "sudo apt-get  install -y \\\n  jq # tool\nfor f in *; do wc -l $f; done\necho 'a;b' && x"
    )
    assert list(simple_commands(script)) == [
        ("apt-get", "install", "-y", "jq"),
        ("wc", "-l", "$f"),
        ("echo", "a;b"),
        ("x",),
    ]
    assert list(simple_commands("echo 'open")) == [("echo", "'open")]
