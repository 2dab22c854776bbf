"""The kit must build from any list of parts."""

import os
import random
import shutil
from pathlib import Path

import runner
import theirs

PROJECT = Path("/app/kit")


def built(data_name, data, product):
    """Run the build in a copy of the project with other data; return what it made."""
    with theirs.copied(PROJECT) as copy:
        shutil.rmtree(copy / "dist", ignore_errors=True)
        (copy / data_name).unlink(missing_ok=True)  # it may be a link of theirs
        (copy / data_name).write_text(data)
        run = theirs.run(["./build.sh"], cwd=copy, timeout=60)
        assert run.returncode == 0, f"the build ended with exit code {run.returncode}"
        made = copy / product
        assert made.is_file() and not made.is_symlink(), f"the build left no {product}"
        return made.read_text()



PARTS = ("mast", "hull", "rudder", "oars")


def number(text):
    total = 0
    for place, letter in enumerate(text, 1):
        total = (total + place * ord(letter)) % 9973
    return f"check {total:04}"


def expected(parts):
    lines = []
    for part in parts:
        text = (PROJECT / "parts" / f"{part}.txt").read_text()
        lines += [f"== {part} ({len(part)} letters) ==", *text.splitlines(), number(text)]
    return lines


def test_build_script_starts():
    assert os.access(PROJECT / "build.sh", os.X_OK), "build.sh is not executable"
    built("kit.cfg", "hull\n", "dist/kit.txt")


def test_kit_is_left_behind():
    made = (PROJECT / "dist/kit.txt").read_text()
    assert made.splitlines() == expected(["mast", "hull", "rudder"]), "the kit differs"


def test_other_lists():
    draw = random.Random(77)
    for _ in range(3):
        parts = draw.sample(PARTS, 3)
        made = built("kit.cfg", "# other\n\n" + "\n".join(parts) + "\n", "dist/kit.txt")
        assert made.splitlines() == expected(parts), "the kit of another list differs"


def test_missing_part_fails():
    built("kit.cfg", "hull\n", "dist/kit.txt")
    try:
        built("kit.cfg", "hull\nanchor\n", "dist/kit.txt")
    except AssertionError:
        return
    raise AssertionError("a part that does not exist went unnoticed")


def run():
    runner.main([(n, f) for n, f in globals().items() if n.startswith("test_")])
