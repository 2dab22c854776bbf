"""Reading task folders: a broken one is one error that says what to mend, the others load."""

import datetime
import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import JsonValue, ValidationError

from grindstone.benchmark.environ import missing_variables, passed, resolve
from grindstone.benchmark.exposure import exposed_by
from grindstone.benchmark.leftovers import what_to_keep
from grindstone.benchmark.loaded import LoadedTasks, sign_of
from grindstone.benchmark.misplaced import no_task_in
from grindstone.benchmark.schema import EnvironmentSection, TaskFile
from grindstone.benchmark.task import Task
from grindstone.benchmark.twins import twins_of
from grindstone.benchmark.unknown_keys import UnknownKey, unknown_keys
from grindstone.digest import digest, digest_tree
from grindstone.errors import InputError
from grindstone.sandbox.protocol import Limits
from grindstone.untrusted import UntrustedError, read_toml
from grindstone.validation import faults

TEXT_LIMIT_BYTES = 2_000_000
"""No instruction.md or task.toml is longer; more is a mistake, and would go to a model."""

_LOADED = LoadedTasks()


class TaskError(InputError):
    """A task folder that cannot be used.

    Attributes:
        task_id: The folder's name.
        file: The file at fault, relative to the folder.
        field: The dotted key in task.toml; empty where the file as a whole is meant.
    """

    def __init__(self, task_id: str, file: str, field: str, problem: str, expected: str) -> None:
        where = f"{task_id}/{file}" + (f": {field}" if field else "")
        super().__init__(where, problem, expected)
        self.task_id = task_id
        self.file = file
        self.field = field

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling."""
        given = (self.task_id, self.file, self.field, self.problem, self.expected)
        return type(self), given, {"also": self.also}


class Dataset(NamedTuple):
    """A folder of tasks, read: the usable ones by id, and what is wrong with the others."""

    tasks: tuple[Task, ...]
    broken: tuple[TaskError, ...]


def load_tasks(root: Path | str, *, environ: Mapping[str, str] | None = None) -> Dataset:
    """Read every task folder directly below `root`.

    A folder counts as a task when it holds any of instruction.md, task.toml, environment/
    or tests/; other folders and names starting with a dot are passed over. A folder that
    is a task itself gives that one task.

    Raises:
        InputError: `root` is no folder, or holds no task; says where below it some lie.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(str(root), "no such folder", "a folder of task folders")
    folders = [root] if _looks_like_task(root) else sorted(p for p in root.iterdir() if _is_task(p))
    if not folders:
        raise no_task_in(root, _looks_like_task)
    tasks: list[Task] = []
    broken: list[TaskError] = []
    for folder in folders:
        try:
            tasks.append(load_task(folder, environ=environ))
        except TaskError as error:
            broken.append(error)
    return Dataset(tuple(tasks), tuple(broken))


def load_task(path: Path | str, *, environ: Mapping[str, str] | None = None) -> Task:
    """Read one task folder, once for as long as nothing in it changes.

    Args:
        path: The folder; its name is the task's id.
        environ: Where `${VAR}` in env tables is looked up; by default what was passed to tasks
            of the process's own (see `environ`).

    Raises:
        TaskError: The folder cannot be used; says which file and field, and what was expected.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 -- resolve() would rename a linked task
    task_id = path.name
    if not path.is_dir():
        raise TaskError(task_id, "", "", "no such folder", "a task folder")
    if not task_id.isprintable() or "\\" in task_id:
        raise TaskError(repr(task_id), "", "", "an unusable name", "printable characters")
    environ = passed(os.environ) if environ is None else environ
    sign = sign_of(_walk(str(path)), environ)
    task = _LOADED.get(str(path), sign)
    if task is None:
        task = _read_task(task_id, path, environ)
        _LOADED.keep(str(path), sign, task)
    return task


def _read_task(task_id: str, path: Path, environ: Mapping[str, str]) -> Task:
    _check_links(task_id, path)
    instruction = _read_text(task_id, path, "instruction.md")
    if not instruction.strip():
        raise TaskError(task_id, "instruction.md", "", "is empty", "what the agent is to do")
    config, unknown = _read_config(task_id, path)
    _require_parts(task_id, path, config)
    env_tables = {
        "environment.env": config.environment.env,
        "agent.env": config.agent.env,
        "verifier.env": {
            **(config.verifier.environment.env if config.verifier.environment else {}),
            **config.verifier.env,
        },
    }
    for field, table in env_tables.items():
        if missing := missing_variables(table, environ):
            raise TaskError(
                task_id,
                "task.toml",
                field,
                f"asks for {', '.join(missing)}, which was not passed to tasks or is not set",
                "--pass-env with its name and a value in the environment, or ${VAR:-default}",
            )
    return _assemble(
        path,
        instruction,
        config,
        warnings=tuple(f"{key.field} {key.problem}" for key in unknown),
        env=resolve(config.environment.env, environ),
        agent_env=resolve(config.agent.env, environ),
        verifier_env=resolve(env_tables["verifier.env"], environ),
        # Only the oracle runs it, so a host without the variable can still use the task.
        solution_env=resolve(
            {
                name: text
                for name, text in config.solution.env.items()
                if not missing_variables({name: text}, environ)
            },
            environ,
        ),
    )


def _assemble(
    path: Path,
    instruction: str,
    config: TaskFile,
    *,
    warnings: tuple[str, ...],
    env: dict[str, str],
    agent_env: dict[str, str],
    verifier_env: dict[str, str],
    solution_env: dict[str, str],
) -> Task:
    metadata = {str(key): _json(value) for key, value in config.metadata.items()}
    for name in ("cluster", "collection"):
        _text(path.name, metadata, name)  # see Task.cluster
    environment, verifier = config.environment, config.verifier
    environment_digest = digest_tree(path / "environment")
    separate = verifier.environment
    return Task(
        task_id=path.name,
        path=path,
        digest=_task_digest(path),
        environment_digest=environment_digest,
        twins=twins_of(path, config, environment_digest),
        instruction=instruction,
        title=_text(path.name, metadata, "title") or config.task.description,
        category=_text(path.name, metadata, "category") or config.category or "uncategorized",
        difficulty=_text(path.name, metadata, "difficulty") or config.difficulty or "unknown",
        tags=tuple(_tags(path.name, metadata) or config.tags or config.task.keywords),
        metadata=metadata,
        image=environment.docker_image,
        limits=_limits(environment),
        network=config.agent.chosen or environment.network,
        workdir=environment.workdir,
        agent_timeout_s=config.agent.timeout_sec or config.max_agent_timeout_sec or 900.0,
        verifier_timeout_s=verifier.timeout_sec or config.max_test_timeout_sec or 600.0,
        build_timeout_s=environment.build_timeout_sec,
        env=env,
        agent_env=agent_env,
        verifier_env=verifier_env,
        solution_env=solution_env,
        keep=what_to_keep(environment.keep_processes, path / "tests"),
        exposed=exposed_by(path) is not None,
        separate_verifier=verifier.separate,
        verifier_image=separate.docker_image if separate else None,
        verifier_limits=_limits(separate) if separate else None,
        verifier_network=verifier.network_beside(environment),
        artifacts=tuple(entry.to_artifact() for entry in config.artifacts),
        warnings=warnings,
    )


def _is_task(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_dir() and _looks_like_task(path)


def _looks_like_task(path: Path) -> bool:
    files = ("instruction.md", "task.toml")
    folders = ("environment", "tests")
    return any((path / name).is_file() for name in files) or any(
        (path / name / inner).is_file()
        for name, inner in zip(folders, ("Dockerfile", "test.sh"), strict=True)
    )


def _read_text(task_id: str, path: Path, name: str) -> str:
    file = path / name
    if not file.is_file():
        raise TaskError(task_id, name, "", "is missing", "the file")
    if file.stat().st_size > TEXT_LIMIT_BYTES:
        raise TaskError(task_id, name, "", "is too long", f"at most {TEXT_LIMIT_BYTES} bytes")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TaskError(
            task_id, name, "", f"is not UTF-8 at byte {error.start}", "UTF-8 text"
        ) from error


def _read_config(task_id: str, path: Path) -> tuple[TaskFile, tuple[UnknownKey, ...]]:
    """Return task.toml, and the keys in it that change nothing."""
    text = _read_text(task_id, path, "task.toml")
    try:
        document = read_toml(text)
    except UntrustedError as error:
        raise TaskError(task_id, "task.toml", "", str(error), "valid TOML within limits") from error
    unknown = unknown_keys(document)
    wrong = [(key.field, key.problem, key.nearest) for key in unknown if key.is_limit]
    config = None
    try:
        config = TaskFile.model_validate(document)
    except ValidationError as error:
        wrong += [(".".join(item.place), item.problem, item.expected) for item in faults(error)]
    if wrong or config is None:
        raise TaskError.together([TaskError(task_id, "task.toml", *fault) for fault in wrong])
    return config, unknown


def _require_parts(task_id: str, path: Path, config: TaskFile) -> None:
    dockerfile = path / "environment" / "Dockerfile"
    if config.environment.docker_image is None:
        if not dockerfile.is_file():
            raise TaskError(
                task_id,
                "environment/Dockerfile",
                "",
                "is missing",
                "a Dockerfile, or environment.docker_image in task.toml",
            )
        lines = dockerfile.read_text(errors="replace").splitlines()
        if not any(line.lstrip().upper().startswith("FROM ") for line in lines):
            raise TaskError(
                task_id, "environment/Dockerfile", "", "has no FROM line", "a base image"
            )
    # Harbor reads this name alone; other compose files are material the agent works on.
    if (path / "environment" / "docker-compose.yaml").is_file():
        raise TaskError(
            task_id,
            "environment/docker-compose.yaml",
            "",
            "asks for several containers",
            "a task of one container",
        )
    if not (path / "tests" / "test.sh").is_file():
        raise TaskError(
            task_id, "tests/test.sh", "", "is missing", "a script that writes the reward"
        )
    if (path / "solution").exists() and not (path / "solution" / "solve.sh").is_file():
        raise TaskError(
            task_id, "solution/solve.sh", "", "is missing", "a script, or no solution/ at all"
        )


def _check_links(task_id: str, path: Path) -> None:
    """Make sure that a task is the same folder wherever it is copied to."""
    root = os.path.realpath(path)
    for entry in _walk(str(path)):
        relative = os.path.relpath(entry.path, path)
        if not _is_text(entry.name):
            raise TaskError(task_id, repr(relative), "", "has a name that is no text", "UTF-8")
        if entry.is_symlink():
            target, said = os.path.realpath(entry.path), Path(entry.path).readlink()
            if target != root and not target.startswith(root + os.sep):
                raise TaskError(
                    task_id, relative, "", "is a link out of the task", "links that stay within"
                )
            if _leaves(Path(relative).parent / said):
                problem = f"is a link by way of what is outside of the task, {str(said)!r}"
                raise TaskError(task_id, relative, "", problem, "a link relative to where it lies")
        elif not (entry.is_file() or entry.is_dir()):
            raise TaskError(task_id, relative, "", "is a special file", "files and folders")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _leaves(way: Path) -> bool:
    """Return whether a way from a task's folder leads out of it, links left aside."""
    return way.is_absolute() or Path(os.path.normpath(way)).parts[:1] == (os.pardir,)


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda found: found.name):
            if entry.name == ".git":
                continue
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)


def _task_digest(path: Path) -> str:
    parts: dict[str, JsonValue] = {
        name: hashlib.sha256((path / name).read_bytes()).hexdigest()
        for name in ("instruction.md", "task.toml")
    }
    for name in ("environment", "tests", "solution"):
        parts[name] = digest_tree(path / name)
    return digest(parts)


def _limits(section: EnvironmentSection) -> Limits:
    names = ("cpus", "memory_mb", "storage_mb", "pids")
    given = {name: getattr(section, name) for name in names}
    return Limits(**{name: value for name, value in given.items() if value is not None})


def _text(task_id: str, metadata: Mapping[str, JsonValue], name: str) -> str:
    value = metadata.get(name, "")
    if not isinstance(value, str):
        raise TaskError(task_id, "task.toml", f"metadata.{name}", f"is {value!r}", "a string")
    return value.strip()


def _tags(task_id: str, metadata: Mapping[str, JsonValue]) -> list[str]:
    tags = metadata.get("tags", [])
    if isinstance(tags, str):
        return [tag.strip() for tag in tags.split(",") if tag.strip()]
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise TaskError(task_id, "task.toml", "metadata.tags", f"is {tags!r}", "a list of strings")
    return [str(tag) for tag in tags]


def _json(value: object) -> JsonValue:
    """Make plain JSON of what TOML can hold: dates become ISO text."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool) else str(value)
