from pathlib import Path

import pytest

from grindstone.benchmark import load_task
from grindstone.competency.free_text import make_task
from grindstone.competency.notation import dependency_of, keywords_of
from grindstone.errors import InputError


def test_free_text_becomes_a_task_found_again(tmp_path: Path):
    folder = make_task(tmp_path, "Write 'done' to /app/it", "grep -q done /app/it")
    task = load_task(folder)
    assert task.instruction.strip() == "Write 'done' to /app/it"
    assert "Write" not in (task.tests_dir / "check.sh").read_text()
    assert make_task(tmp_path, "Write 'done' to /app/it", "grep -q done /app/it") == folder
    assert make_task(tmp_path, "Write 'done' to /app/it", "true") != folder
    assert load_task(folder).digest == task.digest


def test_an_environment_is_copied_and_counts(tmp_path: Path):
    environment = tmp_path / "env"
    (environment / "data").mkdir(parents=True)
    with pytest.raises(InputError, match="Dockerfile"):
        make_task(tmp_path / "made", "Text", "true", environment)
    (environment / "Dockerfile").write_text("FROM debian:bookworm-slim\nCOPY data /data\n")
    (environment / "data" / "a.txt").write_text("1")
    first = make_task(tmp_path / "made", "Text", "true", environment)
    assert (first / "environment" / "data" / "a.txt").read_text() == "1"
    (environment / "data" / "a.txt").write_text("2")
    assert make_task(tmp_path / "made", "Text", "true", environment) != first
    with pytest.raises(InputError, match="--check"):
        make_task(tmp_path, "Text", " ")


def test_flags_are_read_or_refused():
    assert dependency_of(["sql:python=0.4", "a b : c=1e-1"]) == {
        ("sql", "python"): 0.4,
        ("a b", "c"): 0.1,
    }
    for wrong in ("sql=0.4", "sql:python", "sql:python=much", "sql:python=nan"):
        with pytest.raises(InputError, match="dependency"):
            dependency_of([wrong])
    assert keywords_of(["sql=select, join", "sql=where"]) == {"sql": ["select", "join", "where"]}
    with pytest.raises(InputError, match="keywords"):
        keywords_of(["sql"])
