"""Reading task folders: a broken one is one error that says what to mend, the others load."""

import datetime
import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue, ValidationError

from grindstone.benchmark.environ import missing_variables, passed, resolve
from grindstone.benchmark.exposure import exposed_by
from grindstone.benchmark.folder import (
    TaskError,
    check_links,
    is_task,
    missing_parts,
    read_text,
    several_steps,
    walk,
)
from grindstone.benchmark.leftovers import what_to_keep
from grindstone.benchmark.loaded import LoadedTasks, sign_of
from grindstone.benchmark.misplaced import no_task_in
from grindstone.benchmark.schema import EnvironmentSection, TaskFile
from grindstone.benchmark.task import Task
from grindstone.benchmark.twins import twins_of
from grindstone.benchmark.unknown_keys import unknown_keys
from grindstone.digest import digest, digest_tree
from grindstone.errors import InputError
from grindstone.sandbox.build_addresses import BUILD_HOSTS, check_dockerfile, check_image
from grindstone.sandbox.protocol import Limits
from grindstone.untrusted import UntrustedError, read_toml
from grindstone.validation import faults

_LOADED = LoadedTasks()


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
    if is_task(root):
        folders = [root]
    else:
        folders = sorted(p for p in root.iterdir() if not p.name.startswith(".") and is_task(p))
    if not folders:
        raise no_task_in(root, is_task)
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
    sign = sign_of(walk(str(path)), {**environ, BUILD_HOSTS: os.environ.get(BUILD_HOSTS, "")})
    task = _LOADED.get(str(path), sign)
    if task is None:
        task = _read_task(task_id, path, environ)
        _LOADED.keep(str(path), sign, task)
    return task


def _read_task(task_id: str, path: Path, environ: Mapping[str, str]) -> Task:
    check_links(task_id, path)
    instruction, config, warnings = _read_files(task_id, path)
    _check_builds(task_id, path, config)
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
        warnings=warnings,
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
    keep = what_to_keep(environment.keep_processes, path / "tests")
    return Task(
        task_id=path.name,
        path=path,
        digest=_task_digest(path),
        environment_digest=environment_digest,
        twins=twins_of(path, config, environment_digest, instruction),
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
        keep=keep,
        exposed=exposed_by(path, "nothing" if verifier.separate else keep) is not None,
        separate_verifier=verifier.separate,
        verifier_image=separate.docker_image if separate else None,
        verifier_limits=_limits(separate) if separate else None,
        verifier_network=verifier.network_beside(environment),
        artifacts=tuple(entry.to_artifact() for entry in config.artifacts),
        healthcheck=environment.healthcheck.to_check() if environment.healthcheck else None,
        collect=tuple(hook.to_hook() for hook in verifier.collect),
        warnings=warnings,
    )


def _read_files(task_id: str, path: Path) -> tuple[str, TaskFile, tuple[str, ...]]:
    """Return the instruction, task.toml, and what of it has no effect; all faults told at once."""
    if (steps := several_steps(task_id, path)) is not None:
        raise steps
    faults: list[InputError] = []
    instruction, config = "", None
    warnings: tuple[str, ...] = ()
    try:
        instruction = read_text(task_id, path, "instruction.md")
        if not instruction.strip():
            problem, expected = "is empty", "what the agent is to do"
            faults.append(TaskError(task_id, "instruction.md", "", problem, expected))
    except TaskError as error:
        faults.append(error)
    try:
        config, warnings = _read_config(task_id, path)
    except TaskError as error:
        faults.append(error)
    has_image = config is not None and config.environment.docker_image is not None
    faults += missing_parts(task_id, path, has_image=has_image)
    if faults or config is None:
        raise TaskError.together(faults)
    return instruction, config, warnings


def _read_config(task_id: str, path: Path) -> tuple[TaskFile, tuple[str, ...]]:
    """Return task.toml, and what of it has no effect, a sentence each."""
    text = read_text(task_id, path, "task.toml")
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
    return config, (*(f"{key.field} {key.problem}" for key in unknown), *config.unheeded)


def _check_builds(task_id: str, path: Path, config: TaskFile) -> None:
    """Refuse a task whose images have the engine ask this machine or a private one.

    Raises:
        TaskError: One does; names the line or the field.
    """
    verifier = config.verifier.environment
    images = {
        "environment.docker_image": config.environment.docker_image,
        "verifier.environment.docker_image": verifier.docker_image if verifier else None,
    }
    try:
        for field, image in images.items():
            if image is not None:
                check_image(field, image)
    except InputError as error:
        raise TaskError(task_id, "task.toml", error.where, error.problem, error.expected) from error
    for name in ("environment/Dockerfile", "tests/Dockerfile"):
        try:
            if (path / name).is_file():
                check_dockerfile(Path(name), read_text(task_id, path, name))
        except InputError as error:
            if isinstance(error, TaskError):
                raise
            raise TaskError(task_id, error.where, "", error.problem, error.expected) from error


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
