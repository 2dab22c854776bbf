"""How often the leak guard errs: answers it lets through, and honest skills it refuses.

    python benchmarks/leak_guard.py [FOLDER …]

Leaks are made of what the bundled tasks' solutions leave, whole, in rows and disguised. Honest
skills are the seed workspace's and every SKILL.md below the folders named. It needs sandboxes
for the solutions, two of each task as it is: the keys are kept below the temporary folder by the
task's digest, and the texts are checked against them without another.
"""

import asyncio
import base64
import gzip
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from grindstone.benchmark import load_task
from grindstone.evolve.answers import AnswerKey, answer_key
from grindstone.evolve.guard import check_against, known_of
from grindstone.evolve.permissions import Check
from grindstone.resources import bundled
from grindstone.sandbox import open_provider

KEPT = Path(tempfile.gettempdir()) / "grindstone-leak-guard"
ROWS = 8
AT_ONCE = 4


async def learn(folders: list[Path]) -> dict[str, AnswerKey]:
    """Return what is known of each task's answer."""
    KEPT.mkdir(exist_ok=True)
    provider = await open_provider("auto")
    places = asyncio.Semaphore(AT_ONCE)

    async def key_of(folder: Path) -> AnswerKey:
        async with places:
            return await answer_key(load_task(folder), provider, kept_in=KEPT)

    try:
        keys = await asyncio.gather(*map(key_of, folders))
        return {folder.name: key for folder, key in zip(folders, keys, strict=True)}
    finally:
        await provider.close()


def products(key: AnswerKey) -> list[str]:
    """Return what the task asks for: its output files, or the commits its branches point at."""
    for part in ("/out/", "/dist/", "/refs/"):
        if found := [text for path, text in key.answers.items() if part in path]:
            return found
    return []


def disguises(text: str) -> Iterator[tuple[str, str]]:
    """Yield readable ways of writing a text, by name."""
    yield "as it is", text
    yield "on one line", " ".join(text.split())
    yield "upper case", text.upper()
    yield "zero-width marks", "\u200b".join(text)
    yield (
        "look-alike letters",
        text.translate(str.maketrans("aeopc", "\u0430\u0435\u043e\u0440\u0441")),
    )
    yield "full-width", text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})
    yield "a table", text.translate(str.maketrans('{}[]",:', "       ", "")).replace("  ", " | ")
    yield "no punctuation", re.sub(r"[^\w\s]", " ", text)
    yield "dates run together", re.sub(r"(?<=\d)[-:T](?=\d)", "", text)
    yield "emphasis", " ".join(f"**{word}**" for word in text.split())
    yield "base64", base64.encodebytes(text.encode()).decode()
    yield "packed", base64.b64encode(gzip.compress(text.encode())).decode()
    yield "hex", text.encode().hex()
    yield "escapes", "".join(f"\\x{byte:02x}" for byte in text.encode())
    yield "codes", ", ".join(str(byte) for byte in text.encode())
    yield "backwards", text[::-1]
    yield (
        "pieces of a program",
        " + ".join(repr(text[at : at + 3]) for at in range(0, len(text), 3)),
    )
    yield "a character a line", "\n".join("".join(text.split()))


def main(folders: list[Path]) -> None:
    """Print both error rates."""
    began = time.monotonic()
    tasks = sorted(path for path in bundled("examples/tasks").iterdir() if path.is_dir())
    keys = asyncio.run(learn(tasks))
    checks: dict[str, Check] = {
        folder.name: check_against([known_of(load_task(folder), keys[folder.name])])
        for folder in tasks
    }
    whole: list[bool] = []
    parts: list[bool] = []
    for name, check in checks.items():
        for product in products(keys[name]):
            for how, text in disguises(product):
                whole.append(bool(check("skills/x/SKILL.md", f"The right answer:\n\n{text}\n")))
                if not whole[-1]:
                    print(f"passes: {name}, whole, {how}")
            rows = [row for row in product.splitlines() if row.strip()]
            step = max(len(rows) // ROWS, 1)
            for at in range(0, len(rows) - 2, step):
                text = "\n".join(rows[at : at + 3])
                parts.append(bool(check("skills/x/SKILL.md", f"Such as:\n\n{text}\n")))
    seeds = bundled("seed_workspaces/skillbench/skills")
    honest = sorted(path for root in (seeds, *folders) for path in root.rglob("SKILL.md"))
    refused = 0
    for path in honest:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = {
            name: why for name, check in checks.items() if (why := check("skills/x/SKILL.md", text))
        }
        refused += bool(found)
        if found:
            print(f"refused: {path}: {found}")
    print(f"complete answers that pass: {whole.count(False)} of {len(whole)}")
    print(f"three rows of an answer that pass: {parts.count(False)} of {len(parts)}")
    print(f"honest skills refused by any of {len(checks)} tasks: {refused} of {len(honest)}")
    print(f"took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
