"""What a simple reader makes of an instruction: which paths are read, which are written."""

import re
from typing import NamedTuple

_PATH = re.compile(r"(?<![\w/.:~-])(/[A-Za-z0-9_.@+-]+(?:/[A-Za-z0-9_.@+-]+)*/?)")
_WRITES = re.compile(
    r"\b(writ\w*|sav\w*|creat\w*|produc\w*|stor\w*|put|generat\w*|leav\w*|output\w*|deliver\w*)\b",
    re.IGNORECASE,
)
_READS = re.compile(r"\b(read|from|under|contains?|holds?|inside|given)\b", re.IGNORECASE)
_SYSTEM = ("/root", "/tests", "/logs", "/tmp", "/etc", "/usr", "/bin", "/proc", "/dev", "/solution")


class TaskBrief(NamedTuple):
    """An instruction and the places it names."""

    text: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def values(self) -> dict[str, str]:
        """Return what fills the usual placeholders of a skill's commands."""
        filled: dict[str, str] = {}
        if self.inputs:
            filled |= {"input": self.inputs[0], "inputs": " ".join(self.inputs)}
        if self.outputs:
            filled["output"] = self.outputs[0]
        return filled


def read(text: str) -> TaskBrief:
    """Return the instruction's paths, in order: what it names to be written, and the rest."""
    inputs: list[str] = []
    outputs: list[str] = []
    end = 0
    for found in _PATH.finditer(text):
        path = found[1].rstrip(".").rstrip("/") or "/"
        before = text[end : found.start()]
        end = found.end()
        if path.startswith(_SYSTEM):
            continue
        clause = re.split(r"[.;:!?]\s|\n\s*\n", before)[-1]
        writes = list(_WRITES.finditer(clause))
        reads = list(_READS.finditer(clause))
        written = bool(writes) and (not reads or reads[-1].start() < writes[-1].start())
        target = outputs if written else inputs
        if path not in inputs and path not in outputs:
            target.append(path)
    return TaskBrief(text, tuple(inputs), tuple(outputs))
