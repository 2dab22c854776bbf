import contextlib
from pathlib import Path

import pytest

from grindstone.sandbox import Sandbox, StartSpec, open_provider
from grindstone.sandbox.bubblewrap import host

REFUSED = {
    "mounting": "mount -t tmpfs none /mnt",
    "a mount namespace": "unshare --mount true",
    "a user namespace": "unshare --user --map-root-user true",
    "a device": "mknod /tmp/disk b 8 0",
    "the host's core pattern": "echo '|/tmp/x' >/proc/sys/kernel/core_pattern",
    "the machine's keyboard": "echo h >/proc/sysrq-trigger",
    "the runner's folder": "touch /.grindstone/runner",
    "replacing the runner": "mv /.grindstone /elsewhere",
    "unmounting the runner": "umount /.grindstone",
    "changing root": "chroot / true",
    "joining a namespace": "nsenter --target 1 --mount true",
    "the host's name": "hostname other",
}


@pytest.mark.catalogue(each_case=True)
@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED.keys())
async def test_the_agent_is_refused(sandbox: Sandbox, command: str) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    result = await sandbox.exec(command, timeout_s=10)
    assert result.exit_code != 0, result.output
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


@pytest.mark.catalogue(each_case=True)
async def test_setuid_programs_give_nothing(sandbox: Sandbox) -> None:
    result = await sandbox.exec("grep NoNewPrivs /proc/self/status", timeout_s=5)
    assert result.output.split() == ["NoNewPrivs:", "1"]


@pytest.mark.catalogue(each_case=True)
async def test_usual_administration_works(sandbox: Sandbox) -> None:
    result = await sandbox.exec(
        "touch /opt/f && chown 33:33 /opt/f && chmod 600 /opt/f && cat /opt/f &&"
        " mkdir -p /usr/local/new && echo x >/usr/local/new/f && su nobody -s /bin/sh -c 'id -u'",
        timeout_s=10,
    )
    assert result.output.strip() == "65534"


@pytest.mark.catalogue(each_case=True)
async def test_the_hosts_files_are_not_there(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    home = Path.home()
    project = Path(__file__).resolve().parents[2]
    wanted = [str(secret), "/var/run/docker.sock", "/run/docker.sock", f"{home}/.cache"]
    tests = " ".join(f"-e {path} -o" for path in [*wanted, f"{project}/grindstone"])
    result = await sandbox.exec(f"test {tests} -e /nothing && echo there", timeout_s=5)
    assert result.output == ""
    outside = await sandbox.exec("tr '\\0' '\\n' </proc/1/environ; cat /etc/shadow", timeout_s=5)
    assert "PYTEST_CURRENT_TEST" not in outside.output
    assert "$y$" not in outside.output
    assert "$6$" not in outside.output


@pytest.mark.bubblewrap
@pytest.mark.catalogue(each_case=True)
async def test_the_hosts_settings_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "usr/share/common-licenses"
    assert "usr/local/etc" in host.HIDDEN
    for hidden, there in (((), True), ((shown,), False)):
        monkeypatch.setattr(host, "HIDDEN", hidden)
        async with contextlib.AsyncExitStack() as stack:
            provider = await open_provider("bubblewrap")
            stack.push_async_callback(provider.close)
            sandbox = await provider.start(StartSpec(image="host", name="test"))
            stack.push_async_callback(sandbox.close)
            found = await sandbox.exec(f"ls /{shown}; echo x > /{shown}/mine", timeout_s=5)
            assert bool(found.output.strip()) is there, found
            assert (await sandbox.read_file(f"/{shown}/mine")) == b"x\n"


@pytest.mark.catalogue(each_case=True)
async def test_the_hosts_processes_are_not_there(sandbox: Sandbox) -> None:
    result = await sandbox.exec("ls -d /proc/[0-9]* | wc -l", timeout_s=5)
    assert int(result.output) < 12
