"""Honest attempts on a machine with three times the work it has processors for: none is lost.

Six on each engine in the suite; `make drills` makes a hundred on each. The agent leaves a service
running that the tests speak to, so that what ends leftovers is under load as well.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest
from support.sandboxes import cache, provider

from grindstone.attempt.run import AttemptResources, attempt
from grindstone.attempt.spec import AttemptSpec, SolverSettings
from grindstone.benchmark import load_task
from grindstone.errors import InfrastructureError
from grindstone.records import Purpose
from grindstone.sandbox.protocol import SandboxProvider
from grindstone.settings import GrindSettings, Profile

__all__ = ["cache", "provider"]

ATTEMPTS = 100 if "GRINDSTONE_DRILL_MINUTES" in os.environ else 6
AT_ONCE = 3 * (os.cpu_count() or 2)
MOST_LOST = 0.005

FILES = {
    "instruction.md": "Serve 42 at port 8123.\n",
    "task.toml": "[environment]\nallow_internet = false\nmemory_mb = 256\n",
    "environment/Dockerfile": "FROM python:3.11-slim-bookworm\nWORKDIR /app\n",
    "solution/solve.sh": """\
cat > serve.py <<'X'
import http.server
http.server.test(http.server.SimpleHTTPRequestHandler, port=8123, bind="127.0.0.1")
X
echo 42 > answer
python3 serve.py > /dev/null 2>&1 &
for i in $(seq 300); do (exec 3<>/dev/tcp/127.0.0.1/8123) 2>/dev/null && break; sleep 0.1; done
""",
    "tests/test.sh": """\
exec 3<>/dev/tcp/127.0.0.1/8123 && printf 'GET /answer HTTP/1.0\\r\\n\\r\\n' >&3
if tail -n 1 <&3 | grep -q 42; then reward=1; else reward=0; fi
echo $reward > /logs/verifier/reward.txt
""",
}


@pytest.mark.drill(short=True)
@pytest.mark.slow
@pytest.mark.timeout(3600 if ATTEMPTS > 6 else 300)
async def test_attempts_under_load_lose_nothing(provider: SandboxProvider, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / "serves" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "serves" / name).write_text(text)
    task = load_task(tmp_path / "serves")
    settings = GrindSettings(native_profile=Profile.ORACLE)
    solver = SolverSettings.of(settings, model_id="", sandbox=provider.kind)
    rig = AttemptResources(provider=provider, model=None, workspace=tmp_path, calls_of=lambda _: ())
    places = asyncio.Semaphore(AT_ONCE)

    async def one(trial: int) -> str:
        spec = AttemptSpec(
            home=tmp_path,
            run_key="load",
            agent_id="honest",
            purpose=Purpose.GRIND,
            task_id=task.task_id,
            task_dir=task.path,
            task_digest=task.digest,
            workspace_commit="",
            workspace_tree="",
            trial=trial,
            solver=solver,
        )
        async with places:
            try:
                episode = (await attempt(spec, rig)).episode
            except InfrastructureError as error:
                return f"lost: {error.cause.value}"
        return f"{episode.outcome.value}, {episode.basis}"

    found = Counter(await asyncio.gather(*map(one, range(ATTEMPTS))))
    lost = sum(number for what, number in found.items() if what.startswith("lost"))
    assert lost / ATTEMPTS < MOST_LOST, found
    assert found["passed, tests"] == ATTEMPTS - lost, found
