"""The build must run, with the given and with other visitor lists."""

import random
import shutil
from pathlib import Path

import runner
import theirs

PROJECT = Path("/app/report")


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



def visits(seed):
    draw = random.Random(seed)
    towns = ["Malmo", "Umea", "Gavle", "Boras", "Falun", "Kiruna", "Motala"]
    return [(draw.choice(towns), draw.randrange(1, 500)) for _ in range(40)]


def as_data(pairs):
    return "".join(f"{town}; {count}\n" for town, count in pairs)


def expected(pairs):
    totals = {}
    for town, count in pairs:
        totals[town] = totals.get(town, 0) + count
    ranked = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{n:2}. {town:12} {count:6}" for n, (town, count) in enumerate(ranked, 1)]
    return ["Visits per town", "", *lines, f"Sum: {sum(totals.values())}"]


def lines_of(text):
    return [line.rstrip() for line in text.rstrip().splitlines()]


def test_sources_compile():
    source = (PROJECT / "report.py").read_text()
    compile(source, "report.py", "exec")


def test_report_is_left_behind():
    pairs = []
    for line in (PROJECT / "data/visits.txt").read_text().splitlines():
        town, count = line.split(";")
        pairs.append((town.strip(), int(count)))
    assert pairs, "the visitor list is gone"
    assert lines_of((PROJECT / "dist/report.txt").read_text()) == expected(pairs), "it differs"


def test_other_visitors():
    for seed in (11, 12, 13):
        pairs = visits(seed)
        made = built("data/visits.txt", as_data(pairs), "dist/report.txt")
        assert lines_of(made) == expected(pairs), "the report of other visitors differs"


def test_bad_input_still_fails():
    test_sources_compile()
    with theirs.copied(PROJECT) as copy:
        (copy / "unreadable.txt").unlink(missing_ok=True)
        (copy / "unreadable.txt").write_text("no separator\n")
        run = theirs.run(["python3", copy / "report.py", copy / "unreadable.txt"])
    assert run.returncode == 1, "a bad line must end the program with exit code 1"
    assert "cannot read" in run.stderr and "line 1" in run.stderr, "it must say which line"


def run():
    # Any program that compiles passes the first: alone it is worth nothing.
    checks = [(n, f) for n, f in globals().items() if n.startswith("test_")]
    runner.main(checks, weights={"test_sources_compile": 0})
