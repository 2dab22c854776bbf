"""Lint rules about the rest: what the image brings, and what the agent is told."""

import re
from collections.abc import Iterator
from pathlib import Path

from grindstone.benchmark.lint_source import DOCKERFILE, LintFinding, Rule, TaskSource
from grindstone.benchmark.variants import find_baked_skills
from grindstone.dockerfile import parse_copy

UNKNOWN_KEY = "unknown-key"

_SHELL = re.compile(
    r"\[?\s*[\"']?(/usr)?(/bin/)?(ba|da)?sh[\"']?(\s*,\s*[\"']-\w+[\"'])?\s*\]?|\[\s*\]"
)


def _is_test(file: Path) -> bool:
    content = file.read_bytes()
    return file.name == "test.sh" or b"def test_" in content or b"reward.txt" in content


def _tests_in_image(source: TaskSource) -> Iterator[LintFinding]:
    secret = {
        file.read_bytes()
        for folder in (source.task.tests_dir, source.task.solution_dir)
        for file in folder.rglob("*")
        # Inputs that the tests hold a second copy of give nothing away.
        if file.is_file() and (folder == source.task.solution_dir or _is_test(file))
    } - {b""}
    for instruction in source.dockerfile:
        copy = parse_copy(instruction)
        if copy is None or copy.from_stage:
            continue
        for name in copy.sources:
            file = source.task.environment_dir / name.lstrip("/")
            same = file.is_file() and file.read_bytes() in secret
            first = name.strip("./").split("/")[0]
            if same:
                rule, what = "answers-in-image", "a file of tests/ or solution/"
            elif first in ("tests", "solution") and file.is_dir():
                rule, what = "answers-in-image", f"a folder {first}/"
            else:
                continue
            yield LintFinding(
                # A project the agent works on may well have tests of its own.
                severity="error" if same else "warning",
                rule=rule,
                file=f"{DOCKERFILE}:{instruction.first_line + 1}",
                message=f"copies {what} to where the agent can read it",
                remedy="leave tests/ and solution/ out of the image; they are laid when needed",
            )


def _missing_sources(source: TaskSource) -> Iterator[LintFinding]:
    root = source.task.environment_dir
    if source.task.image is not None:
        return
    for instruction in source.dockerfile:
        copy = parse_copy(instruction)
        if copy is None or copy.from_stage:
            continue
        for name in copy.sources:
            relative = name.lstrip("/")
            if re.match(r"(https?|git|ssh)://|git@", name) or "$" in name:
                continue
            if ".." in Path(relative).parts:
                found = False
            elif re.search(r"[*?\[]", relative):
                found = any(root.glob(relative))
            else:
                found = (root / relative).exists()
            if not found:
                yield LintFinding(
                    severity="error",
                    rule="copy-missing",
                    file=f"{DOCKERFILE}:{instruction.first_line + 1}",
                    message=f"copies {name}, which environment/ does not have",
                    remedy="add the file, or drop the line",
                )


def _baked(source: TaskSource) -> Iterator[LintFinding]:
    for baked in find_baked_skills(source.task):
        yield LintFinding(
            severity="note" if baked.removable else "warning",
            rule="skills-baked",
            file=baked.place,
            message=f"the image has skills of its own: {baked.text[:120]}",
            remedy="taken out for arms without skills"
            if baked.removable
            else "bring them by COPY, so that arms without skills can leave them out",
        )


def _private_answers(source: TaskSource) -> Iterator[LintFinding]:
    told = source.task.instruction
    solve = source.task.solution_dir / "solve.sh"
    if not solve.is_file():
        yield LintFinding(
            severity="note",
            rule="no-solution",
            file="solution/solve.sh",
            message="is missing, so nothing shows that the task can be solved",
            remedy="add a solution",
        )
        return
    lines = [
        line.strip()
        for line in solve.read_text(errors="replace").splitlines()
        if line.strip() and not line.lstrip().startswith(("#", "set ", "cd ", "mkdir"))
    ]
    if lines and all(line in told for line in lines):
        yield LintFinding(
            severity="warning",
            rule="solution-told",
            file="instruction.md",
            message="holds every line of the solution",
            remedy="ask for the result, not for the commands",
        )


def _entrypoint(source: TaskSource) -> Iterator[LintFinding]:
    stage = [line for line in source.dockerfile if line.keyword in ("FROM", "ENTRYPOINT")]
    last = stage[-1] if stage else None
    if last is None or last.keyword != "ENTRYPOINT" or _SHELL.fullmatch(last.value.strip()):
        return
    yield LintFinding(
        severity="warning",
        rule="entrypoint",
        file=f"{DOCKERFILE}:{last.first_line + 1}",
        message="names an ENTRYPOINT, which is not run: sandboxes begin with no program",
        remedy="start what it starts in [environment.healthcheck]",
    )


def _separate(source: TaskSource) -> Iterator[LintFinding]:
    if source.task.separate_verifier and not source.task.artifacts:
        yield LintFinding(
            severity="warning",
            rule="no-artifacts",
            file="task.toml: artifacts",
            message="the separate verifier gets the whole working folder",
            remedy="declare the paths it needs",
        )


def _without_effect(source: TaskSource) -> Iterator[LintFinding]:
    for warning in source.task.warnings:
        yield LintFinding(
            severity="warning",
            rule=UNKNOWN_KEY,
            file="task.toml",
            message=warning,
            remedy="spell it as docs/tasks.md does, or leave it out",
        )


RULES: tuple[Rule, ...] = (
    _without_effect,
    _tests_in_image,
    _missing_sources,
    _baked,
    _private_answers,
    _entrypoint,
    _separate,
)
