import pytest

from grindstone.skills import Skill, SkillError, SkillLibrary, render
from grindstone.skills.library import task_folder_name
from grindstone.skills.rules import validate
from grindstone.skills.task_skill import apply_task_skill, write_task_skill


def put(root, name, text=None):
    folder = root / "skills" / name
    folder.mkdir(parents=True)
    skill = Skill(name=name, description=f"When {name}.", body="Text.")
    (folder / "SKILL.md").write_text(render(skill) if text is None else text)
    return folder


def test_broken_skills_are_reported_and_the_others_stay(tmp_path):
    put(tmp_path, "b-good")
    put(tmp_path, "a-good", "---\nname: a-good\ndescription: d\ncategory: c\n---\n")
    put(tmp_path, "no-head", "text")
    put(tmp_path, "wrong", "---\nname: other\ndescription: d\n---\n")
    (tmp_path / "skills" / "empty").mkdir()
    put(tmp_path, "_drafts")
    (tmp_path / "skills" / "linked").symlink_to(tmp_path / "skills" / "b-good")
    listing = SkillLibrary(tmp_path).load()
    assert [skill.name for skill in listing.skills] == ["a-good", "b-good"]
    assert [broken.folder for broken in listing.broken] == ["empty", "linked", "no-head", "wrong"]
    assert "skills/no-head/SKILL.md" in listing.broken[2].problem


def test_fields_of_other_programs_do_not_make_a_skill_unusable(tmp_path):
    text = (
        "---\nname: a\ndescription: d\nauthor: b\nallowed-tools: Read\ntags: [x, y]\n---\n\nText.\n"
    )
    put(tmp_path, "a", text)
    library = SkillLibrary(tmp_path)
    assert library.load().broken == ()
    assert render(library.get("a")) == text
    changed = render(library.get("a").model_copy(update={"body": "Other."}))
    assert "author: b" in changed and "tags: [x, y]" in changed


def test_digest_covers_scripts_and_references(tmp_path):
    folder = put(tmp_path, "a")
    library = SkillLibrary(tmp_path)
    before = (library.digest("a"), library.library_digest(), library.get("a").digest)
    (folder / "scripts").mkdir()
    (folder / "scripts" / "run.sh").write_text("echo")
    after = (library.digest("a"), library.library_digest(), library.get("a").digest)
    assert before[:2] != after[:2]
    assert before[2] == after[2]


@pytest.mark.parametrize("name", ["..", ".", "", "../x", "none"])
def test_an_unknown_name_is_refused(tmp_path, name):
    put(tmp_path, "a")
    with pytest.raises(SkillError):
        SkillLibrary(tmp_path).get(name)


IDS = ["task-042", "Task_042", "task 042", "../../etc", "é", "x" * 200, "-", "a.b/c", "TASK-042"]


def test_every_task_id_has_a_folder_of_its_own_and_a_valid_name():
    names = {task_id: task_folder_name(task_id) for task_id in IDS}
    assert names["task-042"] == "task-042"
    assert len(set(names.values())) == len(IDS)
    for name in names.values():
        assert validate(Skill(name=name, description="d"), folder=name) == ()


def test_a_task_skill_is_shown_to_its_task_alone(tmp_path):
    put(tmp_path, "general")
    library = SkillLibrary(tmp_path)
    for task_id in IDS:
        skill = apply_task_skill(task_id, f"## Approach\n\n1. For {task_id}.")
        write_task_skill(tmp_path, task_id, skill)
    for task_id in IDS:
        own = library.task_skill(task_id)
        assert own is not None
        assert own.metadata["task"] == task_id
        shown = library.injected(("general",), task_id)
        assert set(shown) == {"general", task_folder_name(task_id)}
    assert library.task_skill("unknown") is None
    assert set(library.injected(("general",), "unknown")) == {"general"}


def test_a_task_skill_written_for_another_task_is_refused(tmp_path):
    skill = apply_task_skill("one", "## Approach\n\n1. x")
    folder = tmp_path / "task_skills" / "two"
    folder.mkdir(parents=True)
    moved = skill.model_copy(update={"name": "two"})
    (folder / "SKILL.md").write_text(render(moved))
    with pytest.raises(SkillError, match="names 'one'"):
        SkillLibrary(tmp_path).task_skill("two")
