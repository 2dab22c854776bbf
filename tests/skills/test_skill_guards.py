from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grindstone.skills import Skill, SkillLibrary, check_quality, find_leaks
from grindstone.skills.literals import expected_literals
from grindstone.skills.quality import paths_of

GOOD = Skill(
    name="build-legacy-c-projects",
    description="When building old C projects whose Makefiles fail.",
    body="## Steps\n\n1. Disable X11.\n\n## Verification\n\n- `make` ends with 0\n",
)

PY_TEST = """
import csv
from pathlib import Path
import pytest

CANARY = "GUID 7c1f9a3e-22d4-4b0e-9f51-0c8d7e6a5b43"
EXPECTED = {"north": 48213.5, "region": "quokka ridge"}


@pytest.mark.parametrize(("name", "want"), [("B8", 91734), ("B9", 0.7)])
def test_growth_values(name, want):
    rows = list(csv.DictReader(Path("/app/out.csv").open(encoding="utf-8")))
    assert len(rows) == 42
    assert rows[0]["total"] == "1187.25", "the total is wrong"
    assert rows[1]["name"] == pytest.approx(want)
    assert sorted(rows, key=lambda row: row["name"])[0]["city"] == "Wombatville"
    assert Path("/app/out.csv").exists()
    assert rows[2]["ok"] is True and rows[2]["count"] == 1
"""

SH_TEST = """#!/bin/bash
set -e
[ "$(cat /app/answer.txt)" = "blue heron" ]
[[ $count -eq 5831 ]]
grep -q 'status: restored-copy' /app/report.md
[ -f /app/report.md ]
python3 - <<'PY'
assert open('/app/x').read().strip() == "marmalade"
PY
"""


def test_a_good_skill_passes_the_quality_gate():
    assert check_quality(GOOD) == ()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"name": "Build_C"}, "kebab_case_name"),
        ({"name": "é-build"}, "kebab_case_name"),
        ({"description": "Knowledge of C builds."}, "when_description"),
        ({"body": GOOD.body + "x" * 2000}, "max_chars"),
        ({"body": "## Steps\n\n1. Do.\n"}, "verification_steps"),
        ({"body": "## Steps\n\n1. Do.\n\n## Verification\n\nSoon.\n"}, "verification_steps"),
        ({"body": GOOD.body + "\nSee legacy-build-017.\n"}, "domain_knowledge"),
        ({"body": GOOD.body + "\nEdit /app/src/report_q3.csv.\n"}, "domain_knowledge"),
    ],
)
def test_each_rule_of_the_quality_gate(change, rule):
    found = check_quality(
        GOOD.model_copy(update=change),
        task_ids=["legacy-build-017", "build"],
        task_paths=paths_of("Write /app/src/report_q3.csv, use /usr/bin/python3 and /tmp."),
    )
    assert [violation.rule for violation in found] == [rule]


def test_verification_in_words_alone_is_told_that_a_step_is_missing_not_the_section():
    body = "## Steps\n\n1. Do.\n\n## Verification\n\nSoon.\n"
    (found,) = check_quality(GOOD.model_copy(update={"body": body}))
    assert "no step below '## Verification'" in found.message
    assert "list item" in found.message


def test_starter_skills_pass_the_quality_gate():
    seeds = Path(__file__).parents[2] / "seed_workspaces" / "skillbench"
    for skill in SkillLibrary(seeds).skills():
        assert check_quality(skill) == (), skill.name


def test_literals_come_from_comparisons_only():
    found = set(expected_literals({"test_a.py": PY_TEST, "test.sh": SH_TEST}))
    assert {"48213.5", "quokka ridge", "91734", "0.7", "42", "1187.25", "Wombatville"} <= found
    assert {"blue heron", "5831", "status: restored-copy", "marmalade"} <= found
    assert not {"total", "city", "the total is wrong", "/app/out.csv", "utf-8", "True"} & found
    assert expected_literals({"want.json": '{"a": [1.25, "deep"]}', "bad.json": "{"}) == (
        "1.25",
        "deep",
    )


@pytest.mark.parametrize(
    "text",
    [
        "The north region sums to 48,213.50 in the end.",
        "- The place is Quokka   Ridge.",
        "print(91734)",
        "The mean should be 0.7 after rounding.",
        "Expect 42 rows.",
        "Total 1187.25",
        "first city: wombatville",
        "echo 'blue heron' > answer",
        "count is 5831",
        "write `status: restored-copy`",
        "7c1f9a3e-22d4-4b0e-9f51-0c8d7e6a5b43",
        'assert rows[0]["total"]   == "1187.25", "the total is wrong"',
        "grep -q 'status: restored-copy' /app/report.md",
        "say marmalade",
    ],
)
def test_canaries_are_found(text):
    sources = {"test_a.py": PY_TEST, "test.sh": SH_TEST}
    leaks = find_leaks(f"## Steps\n\n{text}\n", test_sources=sources)
    assert leaks
    assert all(leak.excerpt.lower() not in leak.reason.lower() for leak in leaks)


@pytest.mark.parametrize(
    "text",
    [
        "Use a time limit of 42 seconds.",
        "Round to 0.7 of the width.",
        "import csv\nfrom pathlib import Path\nimport pytest",
        'rows = list(csv.DictReader(path.open(encoding="utf-8")))',
        'assert Path("/app/out.csv").exists()\n[ -f /app/report.md ]',
        "Check the total, the name, the city and the status of each row: 1, 2, 3.",
        "In 2024 port 8080 answered 200 within 1000 ms.",
        "The test is called test_growth_values.",
        "Install with python3 -m pip install openpyxl==3.1.2",
    ],
)
def test_honest_text_is_no_leak(text):
    sources = {"test_a.py": PY_TEST, "test.sh": SH_TEST}
    assert find_leaks(f"## Steps\n\n{text}\n", test_sources=sources) == ()


def test_what_the_instruction_says_is_no_secret():
    instruction = "The city is Wombatville and there are 91734 people. Write blue heron."
    text = "Wombatville has 91734 people: blue heron."
    sources = {"test_a.py": PY_TEST, "test.sh": SH_TEST}
    assert find_leaks(text, test_sources=sources, instruction=instruction) == ()
    assert len(find_leaks(text, test_sources=sources)) == 3


def test_values_given_by_the_caller_count_too():
    assert find_leaks("It is 1729.5 exactly", test_sources={}, expected=["1729.5"])
    assert not find_leaks("It is 1, True, none", test_sources={}, expected=["1", "True", "None"])


def test_a_passage_of_a_test_is_found_though_lines_differ():
    source = "def helper(rows):\n" + "\n".join(
        f"    total_{n} = compute(rows[{n}].left, rows[{n}].right, weight_{n})" for n in range(4)
    )
    lines = [line.strip() for line in source.splitlines()[1:]]
    assert find_leaks("\n".join(lines), test_sources={"t.py": source})
    assert find_leaks(" ".join(lines[:2]), test_sources={"t.py": source})
    assert not find_leaks(lines[0], test_sources={"t.py": source})


@pytest.mark.slow
def test_starter_skills_leak_nothing_of_the_bundled_tasks():
    root = Path(__file__).parents[2]
    tasks = sorted((root / "examples" / "tasks").glob("*/tests"))
    if not tasks:
        pytest.skip("no bundled tasks in this checkout")
    for tests in tasks:
        sources = {
            path.name: path.read_text(encoding="utf-8", errors="replace")
            for path in tests.rglob("*")
            if path.is_file()
        }
        instruction = (tests.parent / "instruction.md").read_text()
        for path in (root / "seed_workspaces" / "skillbench" / "skills").glob("*/SKILL.md"):
            leaks = find_leaks(path.read_text(), test_sources=sources, instruction=instruction)
            assert leaks == (), (tests.parent.name, path.parent.name)


@pytest.mark.parametrize("odd", ["2672e8273026", "1e-99999999999", "7" * 5000, "1" * 5000 + "e5"])
def test_what_is_written_like_a_number_but_is_none_is_found_as_text(odd):
    sources = {"tests/test_it.py": f'assert read() == "{odd}"\n'}
    assert find_leaks(f"The key is {odd} here.", test_sources=sources)
    assert not find_leaks("Read the key from the file.", test_sources=sources)


DISGUISED = """
assert total(rows) == 48213.57
assert rows[0]["name"] == "Heliodora Quintanilla"
"""


@pytest.mark.parametrize(
    "text",
    [
        "48 213.57",
        "48'213.57",
        "48\u2019213.57",
        "48_213.57",
        "48.213,57",
        "48,213.57 EUR",
        "48213.57EUR",
        "4821357 cents",
        "**48213**.57",
        "48213**.57**",
        "4 8 2 1 3 . 5 7",
        "\uff14\uff18\uff12\uff11\uff13.57",
        "48\u200b213.57",
        "48&#50;13.57",
        "between 48213.56 and 48213.58",
        "48213.5 < total < 48213.6",
        "about 48,214",
        "Heliodora-Quintanilla",
        "Heliodora_Quintanilla",
        "HELIODORA QUINTANILLA",
        "HeliodoraQuintanilla",
        "**Heliodora** **Quintanilla**",
        "<b>Heliodora</b>&nbsp;Quintanilla",
        "Heliodora\nQuintanilla",
        "Heli\u043edora Quint\u0430nilla",
        "Heli\u200bodora Quin\u00adtanilla",
        "H\u00e9liodora Quintanill\u00e1",
        "H e l i o d o r a",
        "\U0001d5db\U0001d5f2liodora Quintanilla",
    ],
)
def test_a_value_is_the_same_value_however_it_is_dressed(text):
    leaks = find_leaks(f"## Steps\n\n1. {text}\n", test_sources={"t.py": DISGUISED})
    assert leaks
    assert leaks[0].line == 3


@pytest.mark.parametrize(
    "text",
    [
        "Between 40000 and 50000 rows are read at once.",
        "Version 4.8.21 of 2013-05-07.",
        "Ask for names: first, then last.",
        "48 of 213 rows",
    ],
)
def test_what_only_resembles_a_value_is_left_alone(text):
    assert find_leaks(f"## Steps\n\n1. {text}\n", test_sources={"t.py": DISGUISED}) == ()


TIMED = """
assert first(rows) == "2026-05-30T20:02:09Z"
assert day(rows) == "2031-11-04"
"""


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-30T20:02:09Z",
        "2026 05 30T20 02 09Z",
        "2026 05 30 20 02 09",
        "20260530T200209Z",
        "20260530200209",
        "20260530 200209",
        "2026_05_30_20_02_09",
        "2026/5/30, 20.02.09",
        "log-2026-05-30-200209.txt",
        "30.05.2026 20h02m09s",
        "05/30/2026 20-02-09",
        "30/May/2026:20:02:09 +0000",
        "May 30th, 2026 20:02:09 UTC",
        "The answer is 20311104.",
        "The answer is 4 November 2031.",
        "The answer is 2031/11/4.",
    ],
)
def test_a_time_is_the_same_time_whatever_parts_its_numbers(text):
    leaks = find_leaks(f"## Steps\n\n1. {text}\n", test_sources={"t.py": TIMED})
    assert leaks
    assert leaks[0].line == 3


def test_an_hour_run_together_with_its_date_is_found():
    sources = {"t.py": 'assert counts["2026-05-30T20"] == 118'}
    assert find_leaks("In 2026053020 there are 118.", test_sources=sources)
    assert not find_leaks("In 2026053021 there are 117.", test_sources=sources)
    answers = {"out.json": '{"2026-05-30T11": 12, "2026-05-30T12": 17}'}
    assert find_leaks("12 in 2026-05-30T11", test_sources={}, answers=answers)
    assert not find_leaks("Month 11-12: the audit.", test_sources={}, answers=answers)


@pytest.mark.parametrize(
    "text",
    ["2026-05-31T20:02:09Z", "20260529200209", "Since 2026 there are 5 to 30 files.", "v2031.11"],
)
def test_another_time_is_no_leak(text):
    assert find_leaks(f"## Steps\n\n1. {text}\n", test_sources={"t.py": TIMED}) == ()


def test_values_that_comparisons_name_are_known_from_other_files():
    sources = {
        "tests/checks.py": "assert content(name) == data.STASHED['prices.csv']\n",
        "tests/data.py": "STASHED = {'prices.csv': 'article;price\\nwhelk;318.25\\n'}\n",
    }
    assert find_leaks("one whelk is 318.25, so write whelk;318.25", test_sources=sources)
    assert not find_leaks("each article has a price", test_sources=sources)


@pytest.mark.slow
@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_text_makes_the_guard_raise(text):
    for words in (text, "2672e8273026", "9" * 5_000, "1e999999 " + text, "\ud800" + text):
        find_leaks(words, test_sources={"t.py": DISGUISED, "u.py": words}, expected=[words])
