"""Untrusted text that ends, or never ends, a parser: it costs its file, and nothing beside it."""

import json
import time
from pathlib import Path

import pytest

from grindstone.benchmark.loading import load_tasks
from grindstone.benchmark.reports import read_report
from grindstone.errors import InputError
from grindstone.graduation.rules.files import read_yaml as read_policy
from grindstone.observe.masking import known_paths, mask_output
from grindstone.observe.patterns import normalise_reason
from grindstone.sandbox.bubblewrap.dockerfile import read_recipe
from grindstone.sandbox.build_addresses import check_dockerfile
from grindstone.skills.frontmatter import SkillError, load
from grindstone.untrusted import UntrustedError, read_json, read_toml
from grindstone.workspace.observations import read_jsonl

AT_MOST_S = 5.0

TOML = {
    "arrays, 20,000 deep": "a = " + "[" * 20_000,
    "inline tables, 5,000 deep": "a = " + "{b = " * 5_000,
    "closed arrays, 3,000 deep": "a = " + "[" * 3_000 + "]" * 3_000,
    "a number of 100,000 digits": "a = " + "9" * 100_000,
    "a key of 100,000 parts": ".".join("a" * 100_000) + " = 1",
    "a header of 100,000 parts": "[" + ".".join("a" * 100_000) + "]",
    "a quoted key of 100,000 parts": ".".join(['"a"'] * 100_000) + " = 1",
    "a spaced key of 50,000 parts": " . ".join(["a"] * 50_000) + " = 1",
    "a word of 1,900,000 letters": "a" * 1_900_000,
    "100,000 keys": "\n".join(f"k{number} = 1" for number in range(100_000)),
    "a string that never ends": 'a = "' + "\\" * 100_001,
    "a bracket in a comment": "# [[[[\na = [",
}
YAML = {
    "flow, 20,000 deep": "name: " + "[" * 20_000,
    "flow behind quotes": "a: don't\nb: " + "[" * 20_000 + "\nc: it's",
    "550 indented mappings": "\n".join(" " * level + "a:" for level in range(550)),
    "5,000 items in one line": "- " * 5_000 + "a",
    "5,000 keys in one line": "? " * 5_000 + "a",
    "100,000 lines": "a: b\n" * 100_000,
    "aliases of aliases": "\n".join(
        ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    ),
}
JSON = {
    "arrays, 60,000 deep": "[" * 60_000,
    "objects, 60,000 deep": '{"a":' * 60_000,
    "closed, 3,000 deep": "[" * 3_000 + "]" * 3_000,
    "a number of 100,000 digits": "9" * 100_000,
}


@pytest.fixture(autouse=True)
def _in_time():
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AT_MOST_S


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
def test_toml(text):
    with pytest.raises(UntrustedError):
        read_toml(text)


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_frontmatter(text):
    with pytest.raises(SkillError):
        load(text, "a-skill/SKILL.md")


@pytest.mark.parametrize("text", [YAML["flow, 20,000 deep"], YAML["550 indented mappings"]])
def test_a_policys_fault_names_its_file(text, tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"policy\.yaml.*nests deeper"):
        read_policy(file)


@pytest.mark.parametrize("text", JSON.values(), ids=JSON)
def test_json(text):
    with pytest.raises(UntrustedError):
        read_json(text)


def test_memory_rows_beside_a_nested_one_are_read(tmp_path):
    file = tmp_path / "memories.jsonl"
    file.write_text('{"content": "one"}\n' + "[" * 60_000 + '\n{"content": "two"}\n')
    assert [row["content"] for row in read_jsonl(file)] == ["one", "two"]


@pytest.mark.parametrize("name", ["arrays, 20,000 deep", "a key of 100,000 parts"])
def test_the_tasks_beside_a_broken_one_load(name, tmp_path):
    for task_id, toml in {"good": "", "bad": TOML[name]}.items():
        files = {
            "instruction.md": "Do.\n",
            "task.toml": toml,
            "environment/Dockerfile": "FROM debian:bookworm-slim\n",
            "tests/test.sh": "echo 1 > /logs/verifier/reward.txt\n",
        }
        for file, text in files.items():
            (tmp_path / task_id / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / task_id / file).write_text(text)
    found = load_tasks(tmp_path)
    assert [task.task_id for task in found.tasks] == ["good"]
    [error] = found.broken
    assert "bad/task.toml" in str(error)


@pytest.mark.parametrize("line", ["COPY [a b", 'COPY ["a", 1]', "RUN [a b", "RUN [[1], 2]"])
def test_a_list_of_words_that_is_none_is_named_with_its_line(line, tmp_path):
    folder = Path(tmp_path)
    (folder / "Dockerfile").write_text(f"FROM debian:bookworm-slim\n{line}\n")
    with pytest.raises(InputError, match=r"Dockerfile:2.*not JSON"):
        read_recipe(folder)


LEVELS = 60
"""How often a value doubles: 16 bytes would be more than any machine has."""


@pytest.mark.parametrize("keyword", ["ARG", "ENV"])
def test_a_variable_that_doubles_is_named_with_its_line(keyword, tmp_path):
    folder = Path(tmp_path)
    lines = [f"{keyword} v{n}=$v{n - 1}$v{n - 1}" for n in range(1, LEVELS)]
    text = "\n".join(["FROM debian:bookworm-slim", f"{keyword} v0=aaaaaaaaaaaaaaaa", *lines, ""])
    (folder / "Dockerfile").write_text(text)
    with pytest.raises(InputError, match=r"Dockerfile:\d+.*longer"):
        read_recipe(folder)
    check_dockerfile(Path("Dockerfile"), text)
    with pytest.raises(InputError, match="cannot be known"):
        check_dockerfile(Path("Dockerfile"), f"{text}ADD http://$v{LEVELS - 1}/ /x\n")


def test_a_word_of_many_variables_is_named_with_its_line(tmp_path):
    folder = Path(tmp_path)
    text = f"FROM debian:bookworm-slim\nARG a={'a' * 1000}\nENV b={'$a' * 100_000}\n"
    (folder / "Dockerfile").write_text(text)
    with pytest.raises(InputError, match=r"Dockerfile:3.*longer"):
        read_recipe(folder)
    check_dockerfile(Path("Dockerfile"), text)


WORDS = {
    "letters": "a" * 100_000,
    "digits": "1" * 100_000,
    "dots": "." * 100_000,
    "strokes": "a-" * 50_000,
    "names of tests": "a::" * 33_000,
    "a name, and what became of others": "x::" + "y " * 50_000,
    "brackets": "[" * 100_000,
}


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_a_long_word_holds_no_pattern_up(word):
    """In an agent's command, in what tests print, and in what a judge says."""
    known = known_paths([word, f"cat {word} /app/answer.txt"])
    assert "/app/answer.txt" in known
    assert mask_output(f"{word}\nFAILED {word}\nE   assert {word} == 1\n{word} PASSED", known)
    assert isinstance(normalise_reason(word), frozenset)


def test_half_a_character_in_a_report_is_a_name_like_others():
    report = {"results": {"tests": [{"name": "a\ud800", "status": "failed", "message": "\ud800"}]}}
    found = read_report({"ctrf.json": json.dumps(report).encode()}, "")
    [test] = found.tests
    assert test.status == "failed"
    assert test.model_dump_json()
