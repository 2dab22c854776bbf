"""A process killed between and during calls: the next one pays only for what is missing."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.model_service import MODEL, serving
from support.wire_faults import WireFaults

PROGRAM = textwrap.dedent(
    """
    import asyncio, json, sys
    from pathlib import Path

    from grindstone.llm import Timeouts, open_models
    from grindstone.llm.messages import CallSite, Message, Request, Text
    from grindstone.records import Role

    async def main():
        patience = Timeouts(pause_s=0)
        folder = Path(sys.argv[1])
        async with open_models(run_key="r", journal_dir=folder, patience=patience) as models:
            model = models.get(sys.argv[2])
            history = ()
            for turn in range(12):
                history += (Message(role="user", content=(Text(text=f"turn {turn}"),)),)
                site = CallSite(role=Role.SOLVER, scope="episode", turn=turn)
                answer = await model.complete(Request(messages=history), site)
                history += (Message(role="assistant", content=answer.content),)
                print(turn, flush=True)
            spent = models.spent()
            print(json.dumps([spent.usage.model_dump(), spent.cost_usd, spent.calls]))

    asyncio.run(main())
    """
)


def start(folder: Path, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), MODEL],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ
        | {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "ANTHROPIC_API_KEY": "k",
            "ANTHROPIC_BASE_URL": url,
        },
    )


async def run(folder: Path, url: str, *, kill_after: int | None = None) -> list[str]:
    process = start(folder, url)
    assert process.stdout is not None
    with process.stdout:
        lines = []
        while line := await asyncio.to_thread(process.stdout.readline):
            lines.append(line.strip())
            if len(lines) == kill_after:
                process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
    assert process.returncode == (-signal.SIGKILL if kill_after else 0)
    return lines


@pytest.mark.slow
@pytest.mark.timeout(300)  # three starts of the SDK: seconds here, a minute on a busy machine
async def test_a_killed_run_pays_for_no_answer_twice(tmp_path):
    async with serving() as service:
        service.delay_s = 0.05
        with WireFaults(service.url) as proxy:
            undisturbed = await run(tmp_path / "undisturbed", proxy.url)
        with WireFaults(service.url) as proxy:
            folder = tmp_path / "killed"
            await run(folder, proxy.url, kill_after=5)
            finished = await run(folder, proxy.url)
    assert finished == undisturbed
    # A kill can lose the one call that was in flight, and nothing else.
    assert len(proxy.delivered) == 12
    assert sum(proxy.delivered.values()) <= 12 + 1
