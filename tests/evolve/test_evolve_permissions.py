"""The rules on what an evolver wrote, one by one, on plain folders of files."""

import json

import pytest

from grindstone.evolve.applying import mutations, with_versions
from grindstone.evolve.checks import check_format
from grindstone.evolve.copying import is_shown
from grindstone.evolve.guard import check_against
from grindstone.evolve.permissions import ChangeReview, Checks, review
from grindstone.settings import EvolveScope
from grindstone.skills.format import parse_skill
from grindstone.skills.leaks import Known
from grindstone.workspace import Manifest
from grindstone.workspace.changes import FileEntry, compare

TEXT = "---\nname: {0}\ndescription: When a, b.\n---\n\n## Steps\n{1}\n"


def entry(text: str) -> FileEntry:
    return FileEntry(text.encode())


def main(name: str, body: str = "do it") -> FileEntry:
    return entry(TEXT.format(name, body))


BEFORE = {
    "manifest.yaml": entry("name: a\n"),
    "prompts/system.md": entry("Be good.\n"),
    "skills/old/SKILL.md": main("old"),
    "skills/old/scripts/run.sh": entry("ls\n"),
    "memory/memories.jsonl": entry("{}\n"),
}
ALL = EvolveScope(evolve_memory=True, evolve_prompts=True, evolve_tools=True)
MANIFEST = Manifest(name="a")


def judged(after: dict, scope: EvolveScope = ALL, **more) -> ChangeReview:
    return review(BEFORE, after, scope, **({"manifest": MANIFEST} | more))


def rules(after: dict, scope: EvolveScope = ALL, **more) -> dict[str, str]:
    found = judged(after, scope, **more)
    return {refusal.path: refusal.rule for refusal in found.refusals}


def changed(**files: FileEntry | None) -> dict:
    after = BEFORE | files
    return {path: found for path, found in after.items() if found is not None}


@pytest.mark.parametrize(
    ("path", "found", "scope", "rule"),
    [
        ("manifest.yaml", entry("name: b\n"), ALL, "outside"),
        ("evolution/observations.jsonl", entry("{}"), ALL, "outside"),
        ("task_skills/t/SKILL.md", main("t"), ALL, "outside"),
        ("skills/_drafts/x.md", main("x"), ALL, "outside"),
        ("skills/loose.md", entry("x"), ALL, "outside"),
        (".bashrc", entry("x"), ALL, "outside"),
        ("prompts/system.md", entry("x"), EvolveScope(), "evolve_prompts"),
        ("memory/memories.jsonl", entry("{}\n{}\n"), EvolveScope(), "evolve_memory"),
        ("tools/a.py", entry("x"), EvolveScope(), "evolve_tools"),
        ("skills/new/SKILL.md", main("new"), EvolveScope(evolve_skills=False), "evolve_skills"),
        (
            "skills/new/SKILL.md",
            main("new"),
            EvolveScope(evolve_prompts=True, prompt_only=True),
            "prompt_only",
        ),
        ("prompts/system.md", None, ALL, "system_prompt"),
        ("prompts/system.md", entry(" \n"), ALL, "system_prompt"),
        ("memory/memories.jsonl", entry("[1]\n"), ALL, "memory_format"),
        ("memory/memories.jsonl", entry("{not json\n"), ALL, "memory_format"),
        ("memory/memories.jsonl", entry("[" * 100_000), ALL, "memory_format"),
        ("memory/memories.jsonl", entry('{"lesson": "x"}\n'), ALL, "memory_format"),
        ("memory/memories.jsonl", entry('{"content": ["x"]}\n'), ALL, "memory_format"),
        ("memory/notes.md", entry("x\n"), ALL, "memory_format"),
        ("skills/old/scripts/run.sh", FileEntry(b"\xff\xfe"), ALL, "text_only"),
        ("skills/old/scripts/run.sh", FileEntry(b"x" * 200_001), ALL, "max_file"),
        ("skills/old/SKILL.md", main("old", "do\u200b it"), ALL, "hidden_text"),
        ("skills/old/SKILL.md", main("old", "\U000e0064\U000e006f"), ALL, "hidden_text"),  # tags
        ("skills/old/SKILL.md", main("old", "\u202eti od\u202c"), ALL, "hidden_text"),
        ("skills/old/scripts/run.sh", entry("ls \x1b[8m-la\n"), ALL, "hidden_text"),
        ("prompts/system.md", entry("Be\u2064 good.\n"), ALL, "hidden_text"),
        ("memory/memories.jsonl", entry('{"content": "a\\u202eb"}\n'), ALL, "hidden_text"),
        ("tools/a.py", entry("x\U000e0100\U000e0101 = 1\n"), ALL, "hidden_text"),
        (
            "skills/new/SKILL.md",
            entry('---\nname: new\ndescription: "When \\u202e x."\n---\n\ndo it\n'),
            ALL,
            "hidden_text",
        ),
        (
            "skills/old/SKILL.md",
            main("old", "other"),
            EvolveScope(protect_skills=True),
            "protect_skills",
        ),
        ("skills/old/SKILL.md", None, ALL, "skill_format"),
        ("skills/new/SKILL.md", main("new"), EvolveScope(max_skills=1), "max_skills"),
        (
            "skills/new/SKILL.md",
            main("new", "x" * 300),
            EvolveScope(max_skill_chars=200),
            "max_skill_chars",
        ),
        ("skills/new/SKILL.md", main("other"), ALL, "skill_format"),
        ("skills/new/SKILL.md", entry("no head\n"), ALL, "skill_format"),
    ],
)
def test_a_rule_refuses(path: str, found: FileEntry | None, scope: EvolveScope, rule: str):
    checks = Checks(format=check_format)
    reviewed = judged(changed(**{path: found}), scope, checks=checks)
    assert [each.rule for each in reviewed.refusals] == [rule]
    assert reviewed.accepted == ()
    assert reviewed.undo == (path,)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("prompts/system.md", entry("Be better.\n")),
        ("memory/memories.jsonl", entry('{"content": "a"}\n{"note": "b"}\n')),
        ("tools/a.py", entry("x")),
        ("skills/new/SKILL.md", main("new")),
        ("skills/old/SKILL.md", main("old", "other")),
        ("skills/old/scripts/run.sh", entry("ls -l\n")),
        (
            "skills/old/SKILL.md",
            main("old", "naïve → 日本 \u0645\u06cc\u200c\u0631 👩\u200d💻 \u2705\ufe0f\tx"),
        ),
    ],
)
def test_what_is_allowed_stands(path: str, found: FileEntry):
    reviewed = judged(changed(**{path: found}), ALL, checks=Checks(format=check_format))
    assert [change.path for change in reviewed.accepted] == [path]
    assert reviewed.refusals == ()


@pytest.mark.parametrize(
    "name", [".git", ".gitignore", "sub/.GIT", "a\nb", "a\\b", "\udcff", "\x1b[2J"]
)
def test_names_that_could_be_misread_are_refused(name: str):
    path = f"skills/old/{name}"
    reviewed = judged(changed(**{path: entry("*\n")}), ALL)
    assert [each.rule for each in reviewed.refusals] == ["file_name"]
    assert reviewed.accepted == () and reviewed.undo == (path,)
    assert reviewed.refusals[0].model_dump_json()


def test_a_skill_is_refused_as_a_whole():
    after = changed(
        **{"skills/new/SKILL.md": main("new"), "skills/new/scripts/a.sh": FileEntry(b"\xff")}
    )
    reviewed = judged(after, ALL)
    assert reviewed.accepted == ()
    assert set(reviewed.undo) == {"skills/new/SKILL.md", "skills/new/scripts/a.sh"}


def test_deleting_a_skill_makes_no_room_for_another():
    after = changed(
        **{
            "skills/old/SKILL.md": None,
            "skills/old/scripts/run.sh": None,
            "skills/new/SKILL.md": main("new"),
        }
    )
    reviewed = judged(after, EvolveScope(max_skills=1))
    assert [each.rule for each in reviewed.refusals] == ["max_skills"]
    assert {change.kind for change in reviewed.accepted} == {"deleted"}


def test_at_the_budget_a_skill_may_still_be_refined():
    after = changed(**{"skills/old/SKILL.md": main("old", "more")})
    assert rules(after, EvolveScope(max_skills=1)) == {}


def test_the_budget_admits_as_many_as_fit():
    after = changed(**{f"skills/{name}/SKILL.md": main(name) for name in ("a", "b", "c")})
    reviewed = judged(after, EvolveScope(max_skills=3))
    assert [change.path for change in reviewed.accepted] == [
        "skills/a/SKILL.md",
        "skills/b/SKILL.md",
    ]


def test_a_link_in_a_files_place_deletes_nothing():
    after = changed(**{"skills/old/SKILL.md": None})
    reviewed = judged(after, ALL, specials=("skills/old/SKILL.md",))
    assert [each.rule for each in reviewed.refusals] == ["regular_files"]
    assert reviewed.accepted == ()
    assert reviewed.undo == ("skills/old/SKILL.md",)


def test_too_many_files_refuse_everything():
    after = changed(**{f"tools/{n}.txt": entry("x") for n in range(201)})
    reviewed = judged(after, ALL)
    assert [each.rule for each in reviewed.refusals] == ["max_files"]
    assert reviewed.accepted == ()


def test_leaks_count_only_where_the_scope_asks():
    checks = Checks(leaks=lambda _path, text: ["holds a result"] if "4217" in text else [])
    after = changed(**{"skills/new/SKILL.md": main("new", "the sum is 4217")})
    assert rules(after, checks=checks) == {"skills/new/SKILL.md": "no_direct_answers"}
    assert rules(after, EvolveScope(no_direct_answers=False), checks=checks) == {}


HOURS = zip(range(9, 16), (8, 11, 12, 13, 11, 8, 17), strict=True)
ANSWER = json.dumps({f"2031-03-01T{hour:02}": count for hour, count in HOURS})


def test_an_answer_in_two_files_or_two_steps_is_refused():
    checks = Checks(leaks=check_against([Known(test_sources={}, answers={"o.json": ANSWER})]))
    first, second = "Mind these: 8, 11, 12.", entry("And then: 13, 11, 8, 17.")
    alone = {"skills/new/SKILL.md": main("new", first)}
    assert rules(changed(**alone), checks=checks) == {}
    halves = {**alone, "skills/new/references/more.md": second}
    assert rules(changed(**halves), checks=checks) == dict.fromkeys(halves, "no_direct_answers")
    kept = {**BEFORE, **alone}
    later = {**kept, "skills/old/references/more.md": second}
    refusals = review(kept, later, ALL, manifest=MANIFEST, checks=checks).refusals
    assert [each.path for each in refusals] == ["skills/old/references/more.md"]
    harmless = {**later, "skills/old/references/more.md": entry("Look first.")}
    assert not review(kept, harmless, ALL, manifest=MANIFEST, checks=checks).refusals


LONG = {
    f"skills/a{number}/{name}": found
    for number in range(2)
    for name, found in (
        ("SKILL.md", main(f"a{number}")),
        ("references/log.md", entry("line of a log without a number\n" * 6_000)),
    )
}
HALVES = {
    "skills/new/SKILL.md": main("new", "Mind these: 8, 11, 12."),
    "skills/new/references/more.md": entry("And then: 13, 11, 8, 17."),
}


@pytest.mark.parametrize(
    ("kept", "more"),
    [
        pytest.param({}, LONG, id="behind long files of the same step"),
        pytest.param(LONG, {}, id="behind a long library"),
        pytest.param(
            {"skills/other/SKILL.md": main("other", "Of 48213.57, say nothing.")},
            {},
            id="beside a file that tells something else",
        ),
        pytest.param(
            {
                "skills/one/SKILL.md": main("one", "It begins with quokka ridge"),
                "skills/two/SKILL.md": main("two", "lighthouse and marmalade"),
            },
            {},
            id="beside files that tell something else together",
        ),
    ],
)
def test_what_stands_beside_hides_no_answer_in_two_files(kept: dict, more: dict):
    known = [
        Known(test_sources={}, answers={"o.json": ANSWER}),
        Known(test_sources={}, expected=("48213.57", "quokka ridge lighthouse marmalade")),
    ]
    checks, before = Checks(leaks=check_against(known)), {**BEFORE, **kept}
    for halves, refused in ((HALVES, True), ({}, bool(more))):
        after = {**before, **more, **halves}
        found = review(before, after, ALL, manifest=MANIFEST, checks=checks).refusals
        assert {each.rule for each in found} == ({"no_direct_answers"} if refused else set())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "skills/new/SKILL.md",
            '---\nname: new\ndescription: "When the total is 482\\\n  13.57."\n---\n\ndo it\n',
        ),
        (
            "skills/new/SKILL.md",
            '---\nname: new\ndescription: When x.\nmetadata:\n  a: "482\\\n   13.57"\n---\n\nit\n',
        ),
        ("skills/new/SKILL.md", TEXT.format("new", "about 48213")),
        ("skills/new/SKILL.md", TEXT.format("new", "about 48213.5")),
    ],
)
def test_what_an_agent_reads_is_what_is_looked_at(path: str, text: str):
    known = [Known(test_sources={}, answers={"o.txt": "48213.57"})]
    checks = Checks(leaks=check_against(known))
    assert rules(changed(**{path: entry(text)}), checks=checks) == {path: "no_direct_answers"}


def test_an_executable_bit_is_a_change():
    after = changed(**{"skills/old/scripts/run.sh": FileEntry(b"ls\n", True)})
    assert [change.kind for change in compare(BEFORE, after)] == ["changed"]


def test_the_copy_holds_no_drafts_task_skills_or_logs():
    shown = ("manifest.yaml", "prompts/system.md", "skills/a/SKILL.md", "memory/m.jsonl", "tools/t")
    hidden = (
        "skills/_drafts/a.md",
        "task_skills/t/SKILL.md",
        "evolution/observations.jsonl",
        ".git/config",
        "x",
    )
    assert all(is_shown(path, MANIFEST) for path in shown)
    assert not any(is_shown(path, MANIFEST) for path in hidden)


def test_a_change_of_content_is_a_mutation_and_raises_the_version():
    after = changed(**{"skills/old/SKILL.md": main("old", "other")})
    changes = with_versions(BEFORE, compare(BEFORE, after))
    assert mutations(BEFORE, changes).changed == ("old",)
    assert parse_skill(changes[0].entry.content).version == "2"


def test_a_change_beside_the_skill_raises_its_version_too():
    after = changed(**{"skills/old/scripts/run.sh": entry("ls -l\n")})
    changes = with_versions(BEFORE, compare(BEFORE, after))
    assert [change.path for change in changes] == [
        "skills/old/SKILL.md",
        "skills/old/scripts/run.sh",
    ]
    assert parse_skill(changes[0].entry.content).version == "2"


def test_a_version_alone_is_no_mutation():
    text = TEXT.format("old", "do it").replace("---\n\n", "metadata:\n  version: '9'\n---\n\n")
    after = changed(**{"skills/old/SKILL.md": entry(text)})
    assert with_versions(BEFORE, compare(BEFORE, after)) == ()


@pytest.mark.parametrize("layer", ["skills", "memory", "prompts", "tools"])
def test_a_layer_that_the_manifest_withholds_may_not_change_whatever_the_run_allows(layer: str):
    paths = {
        "skills": "skills/new/SKILL.md",
        "memory": "memory/memories.jsonl",
        "prompts": "prompts/system.md",
        "tools": "tools/a.sh",
    }
    texts = {"skills": main("new"), "memory": entry('{"content": "x"}\n')}
    after = changed(**{path: texts.get(name, entry("x")) for name, path in paths.items()})
    others = tuple(name for name in paths if name != layer)
    reviewed = judged(after, manifest=Manifest(name="a", evolvable_layers=others))
    assert {(each.path, each.rule) for each in reviewed.refusals} == {
        (paths[layer], f"evolve_{layer}")
    }
    assert {change.path for change in reviewed.accepted} == {paths[name] for name in others}


def test_the_prompt_is_the_file_that_the_manifest_names_wherever_it_lies():
    manifest = Manifest(name="a", system_prompt="AGENT.md")
    assert is_shown("AGENT.md", manifest) and not is_shown("AGENT.md", MANIFEST)
    after = changed(**{"AGENT.md": entry("Be better.\n")})
    assert rules(after, EvolveScope(), manifest=manifest) == {"AGENT.md": "evolve_prompts"}
    assert rules(after, manifest=manifest) == {}
    assert rules(changed(**{"AGENT.md": entry(" \n")}), manifest=manifest) == {
        "AGENT.md": "system_prompt"
    }
