import multiprocessing
import os
from pathlib import Path

import pytest

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.files import claim, read_record, write_atomic


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path):
    path = tmp_path / "deep" / "file.json"
    write_atomic(path, "old")
    write_atomic(path, b"new")
    assert path.read_text() == "new"
    assert [item.name for item in path.parent.iterdir()] == ["file.json"]


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(pipe, "through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path, "x")


class Kept(Frozen):
    number: int


@pytest.mark.parametrize("content", [b"[", b"[1]", b"\xff\xfe\x00", b"", b'{"number": "x"}'])
def test_a_record_that_was_changed_is_told_with_its_file(tmp_path: Path, content: bytes):
    path = tmp_path / "kept.json"
    path.write_text('{"number": 3}')
    assert read_record(path, Kept, "kept thing").number == 3
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"kept\.json: is no kept thing"):
        read_record(path, Kept, "kept thing")


def test_a_write_that_fails_keeps_the_old_content(tmp_path: Path):
    path = tmp_path / "file"
    write_atomic(path, "old")
    with pytest.raises(TypeError):
        write_atomic(path, 5)  # type: ignore[arg-type]
    assert path.read_text() == "old"


def _claim(arguments: tuple[str, int]) -> bool:
    path, number = arguments
    return claim(Path(path), str(number))


@pytest.mark.slow
def test_of_many_processes_exactly_one_gets_a_name(tmp_path: Path):
    path = tmp_path / "000001.json"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        won = pool.map(_claim, [(str(path), number) for number in range(16)])
    assert sum(won) == 1
    assert path.read_text() == str(won.index(True))
    assert list(tmp_path.iterdir()) == [path]
