"""What a sandbox that remembers tells of commands that are run again."""

from pathlib import Path

import pytest

from grindstone.agents.replay import remembering
from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.protocol import Sandbox

CHANCE = "echo $RANDOM$RANDOM$RANDOM"


@pytest.mark.catalogue
async def test_the_same_command_in_the_same_place_shows_the_same(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    memory = tmp_path / "commands"
    with remembering(sandbox, memory) as first:
        shown = [await first.exec(CHANCE, timeout_s=20) for _ in range(2)]
    with remembering(sandbox, memory) as again:
        assert [await again.exec(CHANCE, timeout_s=20) for _ in range(2)] == shown
        assert await again.exec(CHANCE, timeout_s=20) not in shown  # live from here on


@pytest.mark.catalogue
async def test_a_sandbox_that_did_not_work_is_not_remembered(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """An attempt tried again after its terminal did not start sees whether it starts now."""
    memory = tmp_path / "commands"
    with (
        pytest.raises(InfrastructureError),
        remembering(sandbox, memory) as first,
    ):
        shown = await first.exec(CHANCE, timeout_s=20)
        assert (await first.exec("test -e /tmp/mark", timeout_s=20)).exit_code == 1
        raise InfrastructureError(Cause.SANDBOX_IO, "it did not start")
    await sandbox.exec("touch /tmp/mark", timeout_s=20)
    with remembering(sandbox, memory) as again:
        assert await again.exec(CHANCE, timeout_s=20) == shown
        assert (await again.exec("test -e /tmp/mark", timeout_s=20)).exit_code == 0
