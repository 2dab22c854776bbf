"""Scripts an agent made for itself: in its sandbox, and named in its prompt."""

import pytest

from grindstone.agents import build_system_prompt
from grindstone.agents.tool_scripts import LISTED, PLACE, ToolScript, lay_tools, summary
from grindstone.sandbox import Sandbox
from grindstone.settings import Profile


async def test_scripts_are_laid_and_run(sandbox: Sandbox) -> None:
    laid = await lay_tools(
        sandbox, {"say.sh": b"#!/bin/sh\n# Says hello.\necho hello $1\n", "lib/x.py": b"A = 1\n"}
    )
    assert laid == (
        ToolScript(f"{PLACE}/lib/x.py", ""),
        ToolScript(f"{PLACE}/say.sh", "Says hello."),
    )
    done = await sandbox.exec(f"{laid[1].path} you", timeout_s=20.0)
    assert (done.exit_code, done.output) == (0, "hello you\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('#!/usr/bin/env python3\n"""Counts rows.\n\nMore.\n"""\n', "Counts rows."),
        (
            "#!/usr/bin/env python3\n# -*- x -*-\n'''\nCounts rows.\n'''\n",
            "Counts rows.",
        ),
        ('r"""Counts rows."""\n', "Counts rows."),
        ("#!/bin/bash\n#\n## Usage: x FILE\n", "Usage: x FILE"),
        ("// Counts rows.\n", "Counts rows."),
        ("-- Counts rows.\n", "Counts rows."),
        ("import sys\n# late\n", ""),
        ("", ""),
        ("# " + "x" * 1000, "x" * 160),
        ("# a\x1b[2Jb\n", "a[2Jb"),
    ],
)
def test_a_script_says_in_its_first_words_what_it_is_for(text: str, said: str) -> None:
    assert summary(text.encode()) == said


def test_what_is_no_text_has_no_words() -> None:
    assert len(summary(b"\x7fELF\xff\xfe# x")) <= 160


def test_a_prompt_names_its_scripts_and_not_without_end() -> None:
    tools = [ToolScript(f"{PLACE}/{n}.sh", "Does $n {x}." * (n == 0)) for n in range(LISTED + 2)]
    prompt = build_system_prompt("x", [], [], Profile.TERMINUS2, tools)
    assert f"- {PLACE}/0.sh: Does $n {{x}}.\n- {PLACE}/1.sh\n" in prompt
    assert "- … and 2 more" in prompt
    assert PLACE not in build_system_prompt("x", [], [], Profile.TERMINUS2)
