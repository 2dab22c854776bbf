"""docs/troubleshooting.md: its commands fail as it says, and its other messages are the code's."""

import re
from pathlib import Path

import pytest
from support.documented import Session

from grindstone.errors import Cause

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
ENTRIES = [
    (head, next(iter(re.findall(r"^\$ (.+)$", body, re.MULTILINE)), None))
    for head, body in re.findall(r"^### (.+)\n((?:(?!^##).*\n)*)", PAGE, re.MULTILINE)
]
SHOWN = {head: line for head, line in ENTRIES if line is not None}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A folder with a task that is none, and a run that is over."""
    monkeypatch.delenv("GRINDSTONE_WORK_DIR", raising=False)
    (tmp_path / "broken" / "task").mkdir(parents=True)
    (tmp_path / "broken" / "task" / "instruction.md").write_text("Do it.")
    return Session(tmp_path)


def literals(message: str) -> list[str]:
    """The parts of a message that are always the same, longest first."""
    parts = re.split(r"…|; expected", message)
    return sorted((part.strip(" ;:()'") for part in parts), key=len, reverse=True)


@pytest.mark.parametrize("head", SHOWN, ids=lambda head: literals(head.strip("`"))[0][:40])
def test_a_command_fails_as_it_says(session: Session, head: str):
    said = session.command(SHOWN[head])
    assert said.code == 2
    message = ".+".join(map(re.escape, head.strip("`").split("…")))
    assert re.search(message, said.err), said.err


def test_the_other_messages_are_in_the_code():
    source = "\n".join(
        path.read_text("utf-8")
        for floor in ("grindstone", "flows", "tasks")
        for path in (ROOT / floor).rglob("*.py")
    )
    unbroken = re.sub(r'"\s*\n?\s*f?"', "", source)
    for head, line in ENTRIES:
        quoted = re.match(r"`([^`]+)`", head)
        if line is None and quoted is not None and quoted[1] not in {*Cause, "ANTHROPIC_API_KEY"}:
            part = literals(quoted[1])[0]
            assert part in unbroken, part
