"""Agents that a skill named `broken` breaks at every other of `fleet.write_task`'s tasks."""

import re

from grindstone.agents.recorder import Recorder
from grindstone.records import StepKind, StopReason

PROGRAM = """
name: reader
command: sh /root/.reader/run.sh
files:
  /root/.reader/run.sh: |
    if [ -d /root/.claude/skills/broken ] && grep -q "No. [135]" {instruction_file}; then
      echo "ValueError: cannot parse SKILL.md" >&2
      exit 1
    fi
    echo done > /app/done
"""


class Reader:
    """The same as code."""

    def __init__(self, *, on_step=None):
        self.on_step = on_step

    async def solve(self, brief, sandbox, model):
        found = await sandbox.exec("ls /root/.claude/skills", timeout_s=30)
        if "broken" in found.output and re.search(r"No\. [135]", brief.instruction):
            raise ValueError("cannot parse SKILL.md")
        await sandbox.exec("echo done > /app/done", timeout_s=30)
        record = Recorder(self.on_step)
        record.add(StepKind.USER, brief.instruction)
        return record.finish(StopReason.SUBMITTED, "done")
