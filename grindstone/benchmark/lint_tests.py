"""Lint rules about the tests: do they leave a reward, and can they run?"""

import ast
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from grindstone.benchmark.exposure import exposed_by
from grindstone.benchmark.lint_source import TEST_SH, LintFinding, Rule, TaskSource

_PACKAGES = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "fitz": "pymupdf",
    "git": "gitpython",
    "mysql": "mysql-connector",
    "PIL": "pillow",
    "pptx": "python-pptx",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Packages that are not called what they are imported as."""


def _reward_written(source: TaskSource) -> Iterator[LintFinding]:
    everything = "\n".join(source.tests.values())
    if "reward.txt" in everything or "reward.json" in everything:
        if "/logs/verifier" not in everything and "LOGS" not in everything:
            yield LintFinding(
                severity="error",
                rule="reward-elsewhere",
                file=TEST_SH,
                message="a reward file is named, but not in /logs/verifier",
                remedy="write /logs/verifier/reward.txt",
            )
        return
    yield LintFinding(
        severity="error",
        rule="no-reward",
        file=TEST_SH,
        message="nothing in tests/ names reward.txt or reward.json",
        remedy="end test.sh with: echo 0 or 1 > /logs/verifier/reward.txt",
    )


def _set_e(source: TaskSource) -> Iterator[LintFinding]:
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
            yield LintFinding(
                severity="error",
                rule="set-e",
                file=TEST_SH,
                message="with set -e the script ends at a failing test, before the reward",
                remedy="drop set -e, or run the tests in an if",
            )
            return


def _line_ends(source: TaskSource) -> Iterator[LintFinding]:
    scripts = [source.task.tests_dir / "test.sh", source.task.solution_dir / "solve.sh"]
    for script in scripts:
        if script.is_file() and b"\r\n" in script.read_bytes():
            yield LintFinding(
                severity="error",
                rule="crlf",
                file=script.relative_to(source.task.path).as_posix(),
                message="lines end in CR LF, which bash takes for part of the words",
                remedy="save it with LF",
            )


def _shebang(source: TaskSource) -> Iterator[LintFinding]:
    if not source.test_sh.startswith("#!"):
        yield LintFinding(
            severity="note",
            rule="no-shebang",
            file=TEST_SH,
            message="has no first line that says what runs it; bash is taken",
            remedy="start it with #!/bin/bash",
        )


def _named_tests(source: TaskSource) -> Iterator[LintFinding]:
    if (source.task.tests_dir / "Dockerfile").is_file():
        return  # its image may make files of its own
    for match in re.finditer(
        r"(?<![\w.$}/])/tests/([\w./-]+\.(?:py|sh|json|js|ts))\b", source.test_sh
    ):
        if not (source.task.tests_dir / match[1]).exists() and f"> /tests/{match[1]}" not in (
            source.test_sh
        ):
            yield LintFinding(
                severity="error",
                rule="test-missing",
                file=TEST_SH,
                message=f"names {match[0]}, which tests/ does not have",
                remedy="add the file, or mend the name",
            )


def _test_syntax(source: TaskSource) -> Iterator[LintFinding]:
    for name, text in source.tests.items():
        if not name.endswith(".py"):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in somebody's strings
                ast.parse(text)
        except (SyntaxError, ValueError) as error:
            yield LintFinding(
                # A newer Python in the image may read what this one cannot.
                severity="warning",
                rule="test-syntax",
                file=name,
                message=f"Python cannot read it: {error}",
                remedy="mend the syntax",
            )


def _test_imports(source: TaskSource) -> Iterator[LintFinding]:
    installs = source.test_sh.lower() + source.dockerfile_text.lower()
    if source.task.image is not None or re.search(
        r"requirements|\.toml|environment\.ya?ml", installs
    ):
        return
    for name, text in source.tests.items():
        if not name.endswith(".py"):
            continue
        # Only unindented ones: an import in a function or a try may be optional.
        modules = set(re.findall(r"^(?:import|from)\s+([A-Za-z_]\w*)", text, re.MULTILINE))
        own = {Path(other).stem for other in source.tests} | {
            Path(other).parts[1] for other in source.tests
        }
        for module in sorted(modules - sys.stdlib_module_names - own):
            package = _PACKAGES.get(module, module).lower()
            spellings = {package, package.replace("_", "-"), module.lower()}
            if module == "numpy":
                spellings |= {"pandas", "scipy", "scikit-learn", "torch", "matplotlib"}
            # A file of the agent's project, or one it is to write.
            files = [*source.task.environment_dir.rglob(f"{module}.py")]
            folders = [*source.task.environment_dir.rglob(f"{module}/__init__.py")]
            told = f"{module}.py" in source.task.instruction
            if any(one in installs for one in spellings) or files or folders or told:
                continue
            yield LintFinding(
                severity="warning",
                rule="test-import",
                file=name,
                message=f"imports {module}, which neither the Dockerfile nor test.sh installs",
                remedy=f"install {package} in the Dockerfile",
            )


def _network(source: TaskSource) -> Iterator[LintFinding]:
    fetches = re.compile(
        r"\b(curl|wget|git\s+clone|apt(-get)?\s+(-\w+\s+)*(install|update)|pip3?\s+install"
        r"|uv\s+(pip|add|tool)|uvx|npm\s+(install|ci)|cargo\s+install)\b"
    )
    for number, line in enumerate(source.test_sh.splitlines(), 1):
        match = None if line.lstrip().startswith("#") else fetches.search(line)
        if match is None or re.search(r"localhost|127\.0\.0\.1", line):
            continue
        network = (source.task.verifier_network or source.task.network).mode
        yield LintFinding(
            severity="error" if network == "none" else "note",
            rule="tests-need-network",
            file=f"{TEST_SH}:{number}",
            message=f"{match[0]!r} needs a network"
            + (", which the task does not allow" if network == "none" else " to be graded"),
            remedy="install what the tests need in the Dockerfile",
        )
        return


def _shadowed(source: TaskSource) -> Iterator[LintFinding]:
    for name, text in source.tests.items():
        for line in text.splitlines() if name.endswith(".sh") else ():
            if line.lstrip().startswith("#") or re.search(r"python3?\s+(-\w+\s+)*-[IP]", line):
                continue
            if re.search(r"python3?\s+(-\w+\s+)*(-m|-c|-(\s|$))", line):
                yield LintFinding(
                    severity="note",
                    rule="cwd-on-path",
                    file=name,
                    message="puts the agent's working folder first on the module path: "
                    + line.strip()[:80],
                    remedy="python -P, or -I, where the tests import nothing of the agent's",
                )
                return


def _exposed(source: TaskSource) -> Iterator[LintFinding]:
    task = source.task
    found = exposed_by(task.path, "nothing" if task.separate_verifier else task.keep)
    if found is not None and found.to_kept:
        yield LintFinding(
            severity="note",
            rule="runs-beside-kept",
            file=found.file,
            message="runs a program as another user while processes of the agent are kept: where"
            f" it is the agent's, those can read the tests and write the reward: {found.line}",
            remedy="keep_processes = false in [environment], or no other user",
        )
    elif found is not None:
        yield LintFinding(
            severity="note",
            rule="runs-agents-programs",
            file=found.file,
            message="runs the agent's programs as the tests' own user, which lets them read the"
            f" tests and write the reward: {found.line}",
            remedy="run them as another user: su nobody -s /bin/sh -c …, subprocess.run(user=…)",
        )


def _test_names(source: TaskSource) -> Iterator[LintFinding]:
    everything = "\n".join(source.tests.values())
    if "pytest" in everything and not re.search(r"ctrf|junit|-rA\b", everything):
        yield LintFinding(
            severity="note",
            rule="no-report",
            file=TEST_SH,
            message="leaves no report of its tests, so feedback has no test names",
            remedy="call pytest with --junitxml=/logs/verifier/junit.xml",
        )


RULES: tuple[Rule, ...] = (
    _reward_written,
    _set_e,
    _line_ends,
    _shebang,
    _named_tests,
    _test_syntax,
    _test_imports,
    _network,
    _shadowed,
    _exposed,
    _test_names,
)
