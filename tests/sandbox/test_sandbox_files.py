from pathlib import Path

import pytest

from grindstone.errors import InfrastructureError
from grindstone.sandbox import Sandbox


async def test_files_go_in_and_come_back_byte_for_byte(sandbox: Sandbox) -> None:
    content = bytes(range(256)) + b"\\\\ back\\slashes $HOME `x`\n"
    await sandbox.write_files({"/a/b c/ü.bin": content, "/a/empty": b""}, mode=0o755)
    assert await sandbox.read_file("/a/b c/ü.bin") == content
    assert await sandbox.read_file("/a/empty") == b""
    assert await sandbox.read_file("/a/none") is None
    assert await sandbox.read_file("/a") is None
    assert (await sandbox.exec("stat -c %a:%u /a/empty", timeout_s=5)).output == "755:0\n"


async def test_at_most_max_bytes_are_read(sandbox: Sandbox) -> None:
    await sandbox.write_files({"/long": b"abcdef"})
    assert await sandbox.read_file("/long", max_bytes=3) == b"abc"


async def test_writing_replaces_a_link_and_not_what_it_points_to(sandbox: Sandbox) -> None:
    await sandbox.exec("mkdir /d; echo old >/d/target; ln -s /d/target /d/link", timeout_s=5)
    await sandbox.exec("ln -s /nowhere /d/dangling", timeout_s=5)
    await sandbox.write_files({"/d/link": b"new", "/d/dangling/file": b"in"})
    assert await sandbox.read_file("/d/target") == b"old\n"
    assert await sandbox.read_file("/d/link") == b"new"
    assert await sandbox.read_file("/d/dangling/file") == b"in"


async def test_special_files_are_not_read(sandbox: Sandbox) -> None:
    await sandbox.exec("mkfifo /pipe; ln -s /dev/zero /zero", timeout_s=5)
    assert await sandbox.read_file("/pipe") is None
    assert await sandbox.read_file("/zero") is None


async def test_a_folder_is_copied_in_with_modes_and_links(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/run.sh").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "sub/run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("sub/run.sh")
    await sandbox.copy_in(tmp_path, "/deep/in/there")
    result = await sandbox.exec("./link; readlink link", timeout_s=5, cwd="/deep/in/there")
    assert result.output == "ran\nsub/run.sh\n"


async def test_a_folder_comes_out_without_links_and_special_files(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host secret")
    made = (
        f"mkdir -p /out/sub; echo one >/out/sub/file; ln -s {secret} /out/link; mkfifo /out/pipe;"
        f" ln -s {tmp_path} /out/dir; ln -s / /out/root"
    )
    await sandbox.exec(made, timeout_s=5)
    target = tmp_path / "out"
    target.mkdir()
    await sandbox.copy_out("/out", target)
    found = sorted(path.relative_to(target).as_posix() for path in target.rglob("*"))
    assert found == ["sub", "sub/file"]


async def test_too_much_to_copy_out_is_said(sandbox: Sandbox, tmp_path: Path) -> None:
    await sandbox.exec("mkdir /big; head -c 100000 /dev/zero >/big/file", timeout_s=5)
    with pytest.raises(InfrastructureError, match="more than was allowed"):
        await sandbox.copy_out("/big", tmp_path, max_bytes=1000)
