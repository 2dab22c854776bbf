"""Each module is graded apart, then the build with other entries."""

import random
import shutil
from pathlib import Path

import runner
import theirs

PROJECT = Path("/app/ledger")


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



NAMES = {"cash": "Cash box", "bank": "Bank"}


def asked(code):
    """Run code where the package can be imported; return what it prints."""
    with theirs.copied(PROJECT) as copy:
        run = theirs.run(
            ["python3", "-c", code], cwd=copy, timeout=30, env={"PYTHONDONTWRITEBYTECODE": "1"}
        )
    assert run.returncode == 0, (run.stderr.strip().splitlines() or ["it failed"])[-1]
    return run.stdout.rstrip("\n")


def entries(seed):
    draw = random.Random(seed)
    accounts = ["cash", "bank", "rope", "tar", "sail"]
    return [(draw.choice(accounts), draw.randrange(-9000, 9000)) for _ in range(25)]


def expected(pairs):
    totals = {}
    for account, cents in pairs:
        totals[account] = totals.get(account, 0) + cents
    lines = []
    for account, cents in sorted(totals.items()):
        sign = "D" if cents < 0 else " "
        whole, part = divmod(abs(cents), 100)
        lines.append(f"{NAMES.get(account, account):10} {sign}{whole:6}.{part:02}")
    return [*lines, f"rest {sum(totals.values())}"]


def test_book_module():
    code = "from ledger import book; print(sorted(book.totals(book.read('a 5\\n\\nb -2\\na 4')).items()))"
    assert asked(code) == "[('a', 9), ('b', -2)]", "totals differ"


def test_book_refuses_bad_lines():
    code = (
        "from ledger import book\n"
        "try:\n    book.read('one two three')\n"
        "except book.Unreadable as error:\n    print('refused', error)"
    )
    assert asked(code) == "refused one two three", "a bad line must raise Unreadable with the line"


def test_rules_module():
    code = (
        "from ledger import rules; s = rules.load('rules.cfg'); "
        "print(s['signs', 'debt'], rules.name_of(s, 'cash'), rules.name_of(s, 'tar'))"
    )
    assert asked(code) == "D Cash box tar", "settings differ"


def test_show_module():
    code = "from ledger import show; print(show.balance({'z': -5, 'a': 1234}, {}))"
    assert asked(code).rstrip() == "a               12.34\nz          -     0.05\nrest 1229", "text differs"


def test_balance_is_left_behind():
    pairs = [line.split() for line in (PROJECT / "entries.txt").read_text().splitlines()]
    pairs = [(account, int(cents)) for account, cents in pairs]
    made = (PROJECT / "dist/balance.txt").read_text().splitlines()
    assert [line.rstrip() for line in made if line.strip()] == expected(pairs), "it differs"


def test_build_with_other_entries():
    for seed in (5, 6):
        pairs = entries(seed)
        data = "".join(f"{account} {cents}\n" for account, cents in pairs)
        made = built("entries.txt", data, "dist/balance.txt").splitlines()
        assert [line.rstrip() for line in made if line.strip()] == expected(pairs), "it differs"


def run():
    runner.main([(n, f) for n, f in globals().items() if n.startswith("test_")])
