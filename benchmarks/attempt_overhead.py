"""What an attempt costs beyond its container work, side by side in one run.

    python benchmarks/attempt_overhead.py [--attempts 24] [--inspect PYTHON]

For 1, 4 and 8 at once it measures, in turn:

    bare        create, start, four execs and remove with the Docker SDK alone
    sqlite      oracle attempts through the `attempt` flow, Prefect server on SQLite
    postgres    the same on PostgreSQL (skipped where no server program is found)
    inspect     Inspect AI's Docker sandbox with a model that answers at once, four execs
                (skipped unless --inspect names a Python that has inspect-ai)

The task is bundled: its tests and solution take a few milliseconds, so what is left is
overhead. It prints seconds per attempt and the ratio to bare; then growth per attempt from 10 to
200, peak memory of the orchestrating process, and start-up times of the command line.
Machines are noisy: read ratios within one run.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WIDTHS = (1, 4, 8)
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=24, help="per cell")
    parser.add_argument("--growth", type=int, default=200, help="attempts of the growth run")
    parser.add_argument("--inspect", help="a Python interpreter that has inspect-ai")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(json.loads(arguments.child))
        return
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        run(arguments, Path(folder))


def run(arguments: argparse.Namespace, folder: Path) -> None:
    task = write_task(folder / "tasks" / "tiny")
    image = prepare_image(task)
    cells: dict[str, dict[int, float]] = {"bare": {}}
    for width in WIDTHS:
        cells["bare"][width] = bare(image, arguments.attempts, width)
    grown = {}
    with contextlib.ExitStack() as stack:
        urls = {"sqlite": None}
        postgres = stack.enter_context(postgresql(folder / "postgres"))
        if postgres:
            urls["postgres"] = postgres
        for name, url in urls.items():
            answer = in_child(folder / f"flow-{name}", task, arguments, url)
            cells[name] = {int(width): value for width, value in answer["seconds"].items()}
            grown[name] = answer
            print(name, answer, file=sys.stderr)
    if arguments.inspect:
        cells["inspect"] = inspect(arguments.inspect, image, arguments.attempts, folder)
    show(cells)
    for name, answer in grown.items():
        show_growth(name, answer)
    show_startup()


def write_task(folder: Path) -> Path:
    """Write a task whose tests and solution cost next to nothing."""
    files = {
        "instruction.md": "Create the file /app/done that holds the word done.\n",
        "task.toml": '[metadata]\ncategory = "benchmark"\n[environment]\nallow_internet = false\n',
        "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\n",
        "solution/solve.sh": "#!/bin/bash\necho done > /app/done\n",
        "tests/test.sh": "#!/bin/bash\n"
        'if [ "$(cat /app/done)" = done ]; then echo 1; else echo 0; fi'
        " > /logs/verifier/reward.txt\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def prepare_image(task: Path) -> str:
    from grindstone.benchmark import build_spec, load_task
    from grindstone.sandbox import open_provider

    async def build() -> str:
        provider = await open_provider("docker")
        try:
            return await provider.build(build_spec(load_task(task)))
        finally:
            await provider.close()

    return asyncio.run(build())


def bare(image: str, attempts: int, width: int) -> float:
    """Return seconds per attempt of the container work alone."""
    import docker

    client = docker.from_env(max_pool_size=32)

    def one(_: int) -> None:
        container = client.containers.create(
            image, ["sleep", "infinity"], network_mode="none", cap_drop=["ALL"], pids_limit=256
        )
        container.start()
        for number in range(4):
            container.exec_run(["bash", "-c", f"echo {number}"])
        container.remove(force=True, v=True)

    one(0)
    began = time.perf_counter()
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(one, range(attempts)))
    return (time.perf_counter() - began) / attempts


def in_child(folder: Path, task: Path, arguments: argparse.Namespace, url: str | None) -> dict:
    """Run the flow in a process of its own, so that its memory is its own."""
    from grindstone.flows.serving.login import VARIABLE, login
    from grindstone.flows.serving.server import start

    folder.mkdir(parents=True)
    state = start(folder, database_url=url, detached=False)
    order = {
        "home": str(folder / "home"),
        "task": str(task),
        "attempts": arguments.attempts,
        "growth": arguments.growth,
    }
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--child", json.dumps(order)],
            env=os.environ
            | {"PREFECT_API_URL": state.api_url, VARIABLE: login(folder)}
            | {"PREFECT_LOGGING_LEVEL": "ERROR"},
            stdout=subprocess.PIPE,
            check=True,
            cwd=ROOT,
        )
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        state.server.stop()


def child(order: dict) -> None:
    """Make oracle attempts through the flow and print what they took."""
    from prefect import flow
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from grindstone.attempt.spec import AttemptSpec, SolverSettings
    from grindstone.benchmark import load_task
    from grindstone.flows.attempt import attempt_once
    from grindstone.records import Purpose
    from grindstone.runs.allowance import Allowance
    from grindstone.runs.plan import open_workspace
    from grindstone.settings import RunSettings
    from grindstone.tasks.episode_check import episode_check
    from grindstone.tasks.runtime import open_runtime

    task = load_task(Path(order["task"]))
    settings = RunSettings(work_dir=Path(order["home"]), native_profile="oracle")
    base = open_workspace(settings).snapshot()
    solver = SolverSettings.of(settings, model_id="rehearsal", sandbox="docker")

    @flow(name="overhead")
    async def overhead(attempts: int, width: int, run_key: str) -> list[float]:
        ends: list[float] = []

        async def one(trial: int) -> None:
            episode = await attempt_once(
                AttemptSpec(
                    home=settings.work_dir,
                    run_key=run_key,
                    agent_id=settings.agent_id,
                    purpose=Purpose.CHECK,
                    task_id=task.task_id,
                    task_dir=task.path,
                    task_digest=task.digest,
                    workspace_commit=base.commit,
                    workspace_tree=base.tree,
                    solver=solver,
                    trial=trial,
                )
            )
            assert episode.passed, episode
            ends.append(time.perf_counter())

        async with open_runtime(
            home=settings.home,
            run_key=run_key,
            agent_id=settings.agent_id,
            sandbox="docker",
            allowance=Allowance(max_workers=width),
            after_episode=episode_check(settings.home),
        ):
            began = time.perf_counter()
            await asyncio.gather(*(one(trial) for trial in range(attempts)))
        return [end - began for end in ends]

    def measure(attempts: int, width: int, name: str) -> list[float]:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            return asyncio.run(overhead(attempts, width, name))

    measure(2, 1, "warm-up")
    seconds = {
        width: measure(order["attempts"], width, f"width-{width}")[-1] / order["attempts"]
        for width in WIDTHS
    }
    ends = measure(order["growth"], 4, "growth")
    gaps = [late - early for early, late in itertools.pairwise(ends)]
    answer = {
        "seconds": seconds,
        "first": statistics.mean(gaps[: len(gaps) // 4]),
        "last": statistics.mean(gaps[-len(gaps) // 4 :]),
        "attempts": order["growth"],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str | None]:
    """Yield the address of a PostgreSQL of our own; None where there is no server program."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        yield None
        return
    from grindstone.flows.serving.addresses import free_port

    port = free_port()
    folder.mkdir(parents=True)
    as_user: list[str] = []
    if os.geteuid() == 0:
        folder.parent.chmod(0o755)
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"

    def call(*command: str) -> None:
        subprocess.run(
            [*as_user, str(programs[-1] / command[0]), *command[1:]],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )

    call("initdb", "-D", str(data), "-A", "trust", "-U", "postgres")
    options = f"-p {port} -k {folder} -c max_connections=200 -h 127.0.0.1"
    call("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", str(data), "-m", "immediate", "stop")


INSPECT_TASK = """
import sys, time, json
import tiktoken
class _Encoding:
    def encode(self, text, **_): return text.split()
tiktoken.get_encoding = lambda name: _Encoding()
tiktoken.encoding_for_model = lambda name: _Encoding()
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import Score, accuracy, scorer
from inspect_ai.solver import generate, solver
from inspect_ai.util import sandbox

@solver
def work():
    async def solve(state, generate):
        for number in range(4):
            await sandbox().exec(["bash", "-c", f"echo {number}"])
        for _ in range(3):
            state = await generate(state)
        return state
    return solve

@scorer(metrics=[accuracy()])
def right():
    async def score(state, target): return Score(value=1)
    return score

attempts, width, compose = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
model = get_model("mockllm/model", custom_outputs=(
    ModelOutput.from_content("mockllm/model", "ok") for _ in range(attempts * 3 + 3)))
task = Task(dataset=[Sample(input="x", target="y") for _ in range(attempts)],
            solver=work(), scorer=right(), sandbox=("docker", compose))
began = time.perf_counter()
logs = eval(task, model=model, max_samples=width, max_sandboxes=width, display="none",
            log_dir=sys.argv[4])
assert logs[0].status == "success", logs[0].error
print(json.dumps((time.perf_counter() - began) / attempts))
"""


def inspect(python: str, image: str, attempts: int, folder: Path) -> dict[int, float]:
    """Return seconds per sample of Inspect AI on the same image."""
    compose = folder / "compose.yaml"
    compose.write_text(
        "services:\n  default:\n"
        f"    image: {image}\n    network_mode: none\n"
        "    command: [bash, -c, trap exit TERM; sleep infinity & wait]\n"
        "    entrypoint: []\n"
        # The grace Inspect's own files give: by default a stop takes ten seconds.
        "    stop_grace_period: 1s\n"
    )
    script = folder / "inspect_task.py"
    script.write_text(INSPECT_TASK)
    found = {}
    for width in WIDTHS:
        done = subprocess.run(
            [python, str(script), str(attempts), str(width), str(compose), str(folder / "logs")],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        found[width] = float(done.stdout.splitlines()[-1])
    return found


def show(cells: dict[str, dict[int, float]]) -> None:
    print(f"{'seconds per attempt':<22}" + "".join(f"{width:>9} at once" for width in WIDTHS))
    for name, found in cells.items():
        row = "".join(
            f"{found[width]:>9.3f} ({found[width] / cells['bare'][width]:.2f}x)" for width in WIDTHS
        )
        print(f"{name:<22}{row}")


def show_growth(name: str, answer: dict) -> None:
    print(
        f"{name}: {answer['attempts']} attempts at 4 at once: first quarter "
        f"{answer['first']:.3f} s each, last quarter {answer['last']:.3f} s each; "
        f"peak memory of the process {answer['peak_mb']:.0f} MB"
    )


def show_startup() -> None:
    for name, command in {
        "import grindstone": [sys.executable, "-c", "import grindstone"],
        "grindstone --help": [sys.executable, "-m", "grindstone.flows.cli", "--help"],
    }.items():
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
            times.append(time.perf_counter() - began)
        print(f"{name}: {statistics.median(times):.2f} s (median of 5)")


if __name__ == "__main__":
    main()
