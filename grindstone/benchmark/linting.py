"""What can be said of a task without running it.

An error means that scores of the task would be wrong or that it cannot run; a warning, that
they may be; a note is worth knowing.
"""

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from grindstone.base import Frozen
from grindstone.benchmark.dockerfile import Instruction, instructions, parse_copy
from grindstone.benchmark.task import Task
from grindstone.benchmark.variants import find_baked_skills

Severity = Literal["error", "warning", "note"]


class Finding(Frozen):
    """One thing found."""

    severity: Severity
    rule: str
    file: str
    message: str
    remedy: str


class _Source:
    """The task's texts, read once."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.test_sh = (task.tests_dir / "test.sh").read_text(errors="replace")
        self.tests = {
            file.relative_to(task.path).as_posix(): file.read_text(errors="replace")
            for file in sorted(task.tests_dir.rglob("*"))
            if file.is_file() and file.stat().st_size < 1_000_000
        }
        dockerfile = task.environment_dir / "Dockerfile"
        text = dockerfile.read_text(errors="replace") if dockerfile.is_file() else ""
        self.dockerfile: tuple[Instruction, ...] = instructions(text)


_Rule = Callable[[_Source], Iterator[Finding]]
_DOCKERFILE = "environment/Dockerfile"
_TEST_SH = "tests/test.sh"


def lint_task(task: Task) -> tuple[Finding, ...]:
    """Return everything found, errors first."""
    source = _Source(task)
    found = [finding for rule in _RULES for finding in rule(source)]
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda finding: (order[finding.severity], finding.file)))


def _reward_written(source: _Source) -> Iterator[Finding]:
    everything = "\n".join(source.tests.values())
    if "reward.txt" in everything or "reward.json" in everything:
        if "/logs/verifier" not in everything and "LOGS" not in everything:
            yield Finding(
                severity="error",
                rule="reward-elsewhere",
                file=_TEST_SH,
                message="a reward file is named, but not in /logs/verifier",
                remedy="write /logs/verifier/reward.txt",
            )
        return
    yield Finding(
        severity="error",
        rule="no-reward",
        file=_TEST_SH,
        message="nothing in tests/ names reward.txt or reward.json",
        remedy="end test.sh with: echo 0 or 1 > /logs/verifier/reward.txt",
    )


def _set_e(source: _Source) -> Iterator[Finding]:
    lines = source.test_sh.splitlines()
    strict = next((i for i, line in enumerate(lines) if re.match(r"\s*set\s+-\w*e", line)), None)
    if strict is None or any(re.match(r"\s*(set\s+\+e|trap\b)", line) for line in lines):
        return
    for line in lines[strict:]:
        bare = line.strip()
        # A test command of its own on a line ends the script when a test fails.
        if re.match(r"(uvx?\s|python3?\s|/\S+/)?.*\bpytest\b", bare) and not (
            re.match(r"(if|while|#|pip|uv pip|apt|echo|export|-|\w+=)", bare)
            or re.search(r"\|\||&&|\bpip3? install\b|\buv (pip|add|init)\b|;\s*then", bare)
            or bare.endswith("\\")
        ):
            yield Finding(
                severity="error",
                rule="set-e",
                file=_TEST_SH,
                message="with set -e the script ends at a failing test, before the reward",
                remedy="drop set -e, or run the tests in an if",
            )
            return


def _line_ends(source: _Source) -> Iterator[Finding]:
    scripts = [source.task.tests_dir / "test.sh", source.task.solution_dir / "solve.sh"]
    for script in scripts:
        if script.is_file() and b"\r\n" in script.read_bytes():
            yield Finding(
                severity="error",
                rule="crlf",
                file=script.relative_to(source.task.path).as_posix(),
                message="lines end in CR LF, which bash takes for part of the words",
                remedy="save it with LF",
            )


def _shebang(source: _Source) -> Iterator[Finding]:
    if not source.test_sh.startswith("#!"):
        yield Finding(
            severity="note",
            rule="no-shebang",
            file=_TEST_SH,
            message="has no first line that says what runs it; bash is taken",
            remedy="start it with #!/bin/bash",
        )


def _tests_in_image(source: _Source) -> Iterator[Finding]:
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
            yield Finding(
                # A project the agent works on may well have tests of its own.
                severity="error" if same else "warning",
                rule=rule,
                file=f"{_DOCKERFILE}:{instruction.first_line + 1}",
                message=f"copies {what} to where the agent can read it",
                remedy="leave tests/ and solution/ out of the image; they are laid when needed",
            )


def _is_test(file: Path) -> bool:
    content = file.read_bytes()
    return file.name == "test.sh" or b"def test_" in content or b"reward.txt" in content


def _named_tests(source: _Source) -> Iterator[Finding]:
    if (source.task.tests_dir / "Dockerfile").is_file():
        return  # its image may make files of its own
    for match in re.finditer(
        r"(?<![\w.$}/])/tests/([\w./-]+\.(?:py|sh|json|js|ts))\b", source.test_sh
    ):
        if not (source.task.tests_dir / match[1]).exists() and f"> /tests/{match[1]}" not in (
            source.test_sh
        ):
            yield Finding(
                severity="error",
                rule="test-missing",
                file=_TEST_SH,
                message=f"names {match[0]}, which tests/ does not have",
                remedy="add the file, or mend the name",
            )


def _test_syntax(source: _Source) -> Iterator[Finding]:
    for name, text in source.tests.items():
        if not name.endswith(".py"):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in somebody's strings
                ast.parse(text)
        except (SyntaxError, ValueError) as error:
            yield Finding(
                # A newer Python in the image may read what this one cannot.
                severity="warning",
                rule="test-syntax",
                file=name,
                message=f"Python cannot read it: {error}",
                remedy="mend the syntax",
            )


def _missing_sources(source: _Source) -> Iterator[Finding]:
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
                yield Finding(
                    severity="error",
                    rule="copy-missing",
                    file=f"{_DOCKERFILE}:{instruction.first_line + 1}",
                    message=f"copies {name}, which environment/ does not have",
                    remedy="add the file, or drop the line",
                )


def _network(source: _Source) -> Iterator[Finding]:
    fetches = re.compile(
        r"\b(curl|wget|git\s+clone|apt(-get)?\s+(-\w+\s+)*(install|update)|pip3?\s+install"
        r"|uv\s+(pip|add|tool)|uvx|npm\s+(install|ci)|cargo\s+install)\b"
    )
    for number, line in enumerate(source.test_sh.splitlines(), 1):
        match = None if line.lstrip().startswith("#") else fetches.search(line)
        if match is None or re.search(r"localhost|127\.0\.0\.1", line):
            continue
        network = source.task.verifier_network or source.task.network
        yield Finding(
            severity="error" if network == "none" else "note",
            rule="tests-need-network",
            file=f"{_TEST_SH}:{number}",
            message=f"{match[0]!r} needs a network"
            + (", which the task does not allow" if network == "none" else "; the score with it"),
            remedy="install what the tests need in the Dockerfile",
        )
        return


def _links_and_baked(source: _Source) -> Iterator[Finding]:
    for baked in find_baked_skills(source.task):
        yield Finding(
            severity="note" if baked.removable else "warning",
            rule="skills-baked",
            file=baked.place,
            message=f"the image has skills of its own: {baked.text[:120]}",
            remedy="taken out for arms without skills"
            if baked.removable
            else "bring them by COPY, so that arms without skills can leave them out",
        )


def _shadowed(source: _Source) -> Iterator[Finding]:
    if source.task.separate_verifier:
        return
    if re.search(r"python3?\s+-m\s+(pytest|unittest)", source.test_sh):
        yield Finding(
            severity="note",
            rule="cwd-on-path",
            file=_TEST_SH,
            message="python -m puts the agent's working folder first on the module path",
            remedy="call pytest itself, use python -P -m, or a separate verifier",
        )


def _private_answers(source: _Source) -> Iterator[Finding]:
    told = source.task.instruction
    solve = source.task.solution_dir / "solve.sh"
    if not solve.is_file():
        yield Finding(
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
        yield Finding(
            severity="warning",
            rule="solution-told",
            file="instruction.md",
            message="holds every line of the solution",
            remedy="ask for the result, not for the commands",
        )


def _separate(source: _Source) -> Iterator[Finding]:
    if source.task.separate_verifier and not source.task.artifacts:
        yield Finding(
            severity="warning",
            rule="no-artifacts",
            file="task.toml: artifacts",
            message="the separate verifier gets the whole working folder",
            remedy="declare the paths it needs",
        )


def _test_names(source: _Source) -> Iterator[Finding]:
    everything = "\n".join(source.tests.values())
    if "pytest" in everything and not re.search(r"ctrf|junit|-rA\b", everything):
        yield Finding(
            severity="note",
            rule="no-report",
            file=_TEST_SH,
            message="leaves no report of its tests, so feedback has no test names",
            remedy="call pytest with --junitxml=/logs/verifier/junit.xml",
        )


_RULES: tuple[_Rule, ...] = (
    _reward_written,
    _set_e,
    _line_ends,
    _shebang,
    _tests_in_image,
    _named_tests,
    _test_syntax,
    _missing_sources,
    _network,
    _links_and_baked,
    _shadowed,
    _private_answers,
    _separate,
    _test_names,
)
