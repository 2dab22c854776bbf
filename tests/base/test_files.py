import multiprocessing
from pathlib import Path

import pytest

from grindstone.files import claim, write_atomic


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path):
    path = tmp_path / "deep" / "file.json"
    write_atomic(path, "old")
    write_atomic(path, b"new")
    assert path.read_text() == "new"
    assert [item.name for item in path.parent.iterdir()] == ["file.json"]


def test_a_write_that_fails_keeps_the_old_content(tmp_path: Path):
    path = tmp_path / "file"
    write_atomic(path, "old")
    with pytest.raises(TypeError):
        write_atomic(path, 5)  # type: ignore[arg-type]
    assert path.read_text() == "old"


def _claim(arguments: tuple[str, int]) -> bool:
    path, number = arguments
    return claim(Path(path), str(number))


def test_of_many_processes_exactly_one_gets_a_name(tmp_path: Path):
    path = tmp_path / "000001.json"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        won = pool.map(_claim, [(str(path), number) for number in range(16)])
    assert sum(won) == 1
    assert path.read_text() == str(won.index(True))
    assert list(tmp_path.iterdir()) == [path]
