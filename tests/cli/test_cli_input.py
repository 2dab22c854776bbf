"""Whatever is given wrongly ends in sentences and an exit code, before anything is started."""

import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from grindstone import settings
from grindstone.resources import bundled
from grindstone.workspace import Workspace

pytestmark = pytest.mark.commands

COMMAND = Path(sys.executable).with_name("grindstone")
WATCHED = """
import atexit, sys
atexit.register(lambda: sys.stderr.write("PREFECT WAS IMPORTED" * ("prefect" in sys.modules)))
from grindstone.flows.cli import main
main()
"""
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "PREFECT_API_URL", "GRINDSTONE_WORK_DIR")


class Wrong(NamedTuple):
    """A command line, what it must be told, and how it ends."""

    line: str
    said: tuple[str, ...]
    code: int = 2
    variables: tuple[tuple[str, str], ...] = ()


def wrong(line: str, *said: str, code: int = 2, **variables: str) -> Wrong:
    return Wrong(line, said, code, tuple(variables.items()))


BEFORE_A_SERVER = [
    wrong("grind --tasks-dir /nope", "/nope: no such folder"),
    wrong("grind --task-ids nosuch", "--task-ids: no task has 'nosuch'"),
    wrong("grind --task-ids one,two", "no task has 'one'", "no task has 'two'"),
    wrong("grind --category zz", "--category: no task has 'zz'"),
    wrong("grind", "GRINDSTONE_CATEGORY: no task has 'zz'", GRINDSTONE_CATEGORY="zz"),
    wrong("grind", "TASK_IDS: no task has 'a'", "no task has 'b'", TASK_IDS="a,b"),
    wrong(
        "grind --model-id gpt-5 --evolver-model-id x",
        "--model-id: 'gpt-5'",
        "--evolver-model-id: 'x'",
    ),
    wrong("grind --model-id claude-opus-5-5", "no credentials for the Anthropic API"),
    wrong("grind --rehearsal-price-as gpt-4", "--rehearsal-price-as: no price of 'gpt-4' is known"),
    wrong(
        "grind --tasks-dir /nope --model-id gpt-5", "/nope: no such folder", "--model-id: 'gpt-5'"
    ),
    wrong("grind --seed-workspace /nope", "/nope"),
    wrong("grind --agent-id fresh --seed-workspace /nope", "/nope"),
    wrong("adapt --seed-workspace seeds/terminal", "--seed-workspace: ", "would be ignored"),
    wrong("adapt --calibrate-judge --trajectory-only no", "--calibrate-judge: there is no judge"),
    wrong("grind --dispatch deployment", "--dispatch: is deployment", "`grindstone up`"),
    wrong("compete --train deployment", "--train: is deployment", "`grindstone up`"),
    wrong("compete --domains a,a --dependency a:b=.", "--dependency: cannot read 'a:b=.'"),
    wrong("adapt --judge-model-id gpt-5", "--judge-model-id: 'gpt-5' is of no known form"),
    wrong(
        "grind --model-id openai:x@localhost:1 --evolver-model-id openai:x@http://host:port",
        "--model-id: 'openai:x@localhost:1' is of no known form",
        "--evolver-model-id: 'openai:x@http://host:port' is of no known form",
    ),
    wrong(
        "grind --model-id x", "GRINDSTONE_EVOLVER_MODEL_ID: 'y'", GRINDSTONE_EVOLVER_MODEL_ID="y"
    ),
    wrong(
        "grind --model-id rehearsal",
        "GRINDSTONE_REHEARSAL_URL: is 'localhost:8765'; expected",
        GRINDSTONE_REHEARSAL_URL="localhost:8765",
    ),
    wrong("episodes --steps 3:9", "--steps: is of one attempt, which is not named; expected an id"),
    wrong("episodes --errors", "--errors: is of one attempt, which is not named; expected an id"),
    wrong("episodes --sort foo", "--sort: is 'foo'; expected one of started, task"),
    wrong("steer ''", "run key: is empty; expected one of this home's runs"),
    wrong("report ''", "has no run yet; expected a home with a run"),
    wrong("audit rate X --by G --stars x", "--stars: is 'x'; expected a number"),
    wrong("gate run --baseline nosuch", "--baseline: 'nosuch' is no state of it"),
    wrong("gate run --candidate x", "GRINDSTONE_BASELINE: 'y'", GRINDSTONE_BASELINE="y"),
    wrong("gate run --baseline nosuch --candidate neither", "--baseline: 'n", "--candidate: 'n"),
    wrong("gate run --baseline seed", "--baseline: seed and the candidate HEAD are the same"),
    wrong("gate run", "--baseline: is not given, and nothing has evolved yet"),
    wrong("gate run --agent-id nobody", "--agent-id: 'nobody' is no agent of", "(skillbench)"),
    wrong(
        "gate calibrate --agent-id nobody", "--agent-id: 'nobody' is no agent of", "(skillbench)"
    ),
    wrong("compare --agent-id nobody", "--agent-id: 'nobody' is no agent of", "(skillbench)"),
    wrong("skills audit --agent-id nobody", "--agent-id: 'nobody' is no agent of", "(skillbench)"),
    wrong("release --agent-id nobody", "--agent-id: 'nobody' is no agent of", "(skillbench)"),
    wrong("exam run --agent-id nobody", "--agent-id: 'nobody' is no agent of", "(skillbench)"),
    wrong("promote --agent-id nobody", "--agent-id: 'nobody' is no agent of", "(skillbench)"),
    wrong("review --agents nobody", "--agents: 'nobody' is no agent of", "(skillbench)"),
    wrong("route errors-by-hour --member gitta --member logan", "--member: gitta", "logan is no"),
    wrong("route x --keywords y --tasks-dir /nope", "--keywords: is 'y'"),
    wrong("review --policies-dir /nope", "/nope: no such folder"),
    wrong(
        "review --judge-model-id gpt-5 --constitution-dir /nope",
        "--judge-model-id: 'gpt-5'",
        "/nope: no",
    ),
    wrong("exam run --cases nosuch", "edge case nosuch: does not exist"),
    wrong("promote --signing-key /nope", "--signing-key: /nope is no file"),
]

SAID_BY_THE_MODEL = [
    wrong("grind --max-workers 0", "--max-workers: is '0'; expected at least 1"),
    wrong(
        "grind --max-workers many --agent-id 'A B' --limit -1",
        "--max-workers: is 'many'; expected a whole number",
        "--agent-id: is 'A B'; expected text of the form ^[a-z0-9][a-z0-9_-]{0,63}$",
        "--limit: is '-1'; expected at least 0",
    ),
    wrong("grind --run-key ../x", "--run-key: is '../x'; expected text of the form ^[A-Za-z0-9]"),
    wrong("grind --feedback-level all", "one of none, score, tests, masked or full"),
    wrong("grind --evolve-skills perhaps", "--evolve-skills: is 'perhaps'; expected true or false"),
    wrong("grind --sandbox podman", "--sandbox: is 'podman'; expected one of auto, docker"),
    wrong("grind", "MAX_CYCLES: is 'abc'; expected a whole number", MAX_CYCLES="abc"),
    wrong("grind", "GRINDSTONE_TRIALS: is 'x'; expected a whole", GRINDSTONE_TRIALS="x"),
    wrong(
        "adapt --prompt-only true --evolve-prompts false",
        "--prompt-only: is true, evolve_prompts is false; expected both to be true",
    ),
]

ELSEWHERE = [
    wrong("grnd", "no such command: grnd; did you mean grind?"),
    wrong("grind --max-cycle 1", "no such option: --max-cycle; did you mean --max-cycles"),
    wrong("grind surplus", "unexpected extra argument"),
    wrong("skills shw x", "Did you mean 'show'?"),
    wrong("check --sandbox podman", "there is no 'podman'"),
    wrong("check --limit -1", "--limit: is '-1'; expected at least 0"),
    wrong("check --tasks-dir /nope", "/nope: no such folder"),
    wrong("report nosuch", "nosuch: is no run of this home"),
    wrong("report --format pdf", "unknown format 'pdf'", "--format: is for --export"),
    wrong("report --format csv", "--format: is for --export, which is not given"),
    wrong("report --html /nodir/x.html", "--html: there is no folder /nodir"),
    wrong("report nosuch --words", "--words: is for a folder, which is not given"),
    wrong("view", "has no run yet; expected a home with a run"),
    wrong("episodes --run-key nosuch", "nosuch: is no run of this home"),
    wrong("episodes nosuch", "episode_id: names no attempt"),
    wrong("exam add --by Grace --episode nosuch", "--episode: names no attempt"),
    wrong("audit trail --agent-id nobody", "--agent-id: 'nobody' is no agent of"),
    wrong("audit answer --agent-id nobody --to INTERN --by Ada", "'nobody' is no agent of"),
    wrong("demote --agent-id nobody --to STUDENT --by Ada --reason x", "'nobody' is no agent of"),
    wrong("grind --model-id rehearsal", "PREFECT_API_URL: is 'no://x'", PREFECT_API_URL="no://x"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which one agent lives that has learned nothing."""
    found = tmp_path_factory.mktemp("input") / "evolution_workdir"
    seed = bundled("seed_workspaces/skillbench")
    Workspace.create(found / "agents" / "skillbench" / "workspace", seed)
    shutil.copytree(bundled("seed_workspaces/terminal"), found.parent / "seeds" / "terminal")
    return found


def run(home: Path, case: Wrong, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in KEYS}
    return subprocess.run(
        [sys.executable, "-c", WATCHED, *shlex.split(case.line), *more],
        env=environment | {"HOME": str(home)} | dict(case.variables),
        cwd=home.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "case",
    [*BEFORE_A_SERVER, *SAID_BY_THE_MODEL, *ELSEWHERE],
    ids=lambda case: " ".join((*(f"{k}={v}" for k, v in case.variables), case.line)),
)
@pytest.mark.catalogue
def test_it_is_told_whole_before_anything_starts(home: Path, case: Wrong):
    before = sorted(home.rglob("*"))
    done = run(home, case, "--json")
    assert done.returncode == case.code, done.stderr
    for part in case.said:
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert "PREFECT WAS IMPORTED" not in done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["exit_code"] == case.code
    assert all(part in error["message"] for part in case.said)
    assert sorted(home.rglob("*")) == before


def test_truth_is_spelled_in_many_ways(home: Path):
    for word in ("1", "yes", "True", "true", "on"):
        told = run(home, wrong("grind --model-id gpt-5", USE_SKILLS=word)).stderr
        assert f"USE_SKILLS={word} (GRINDSTONE_USE_SKILLS is its name)" in told.splitlines()[0]
        assert "expected true or false" not in told


def test_variables_of_others_steer_nothing(home: Path):
    others = {"TRIALS": "abc", "SANDBOX": "podman", "COMPARE": "x", "REGION": "y", "CATEGORY": "z"}
    done = run(home, wrong("grind --model-id gpt-5", **others))
    assert done.stderr.startswith("grindstone: --model-id: 'gpt-5'")
    assert len(done.stderr.splitlines()) == 1


def test_a_place_that_cannot_be_written_to(home: Path):
    done = run(home, wrong("grind --work-dir /proc/home --model-id rehearsal"))
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("grindstone: /proc/home: no such file")
    done = run(home, wrong("up --work-dir /proc/home"))
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    done = run(home, wrong("report --html /proc/x.html"))
    assert "Traceback" not in done.stderr
    assert done.returncode in {2, 3}


def test_a_home_that_cannot_be_written_to_is_named_itself(home: Path):
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("mounts need privileges")
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    command = (COMMAND, "grind", "--model-id", "rehearsal", "--work-dir", home)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", home, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    told = f"grindstone: {home}: read-only file system; expected a place that can be written to; "
    assert (done.returncode, done.stderr[: len(told)]) == (3, told)


def test_an_output_that_is_full(home: Path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, "episodes", "--work-dir", home],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    expected = "grindstone: output: no space left on device; expected free space on that disk"
    assert (done.returncode, done.stderr.strip()) == (3, expected)


def test_an_old_locale_gets_what_it_can_show(home: Path):
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = run(home, wrong("doctor", **plain))
    assert done.returncode in {0, 1}
    assert "UnicodeEncodeError" not in done.stderr
    told = run(home, wrong("grind --model-id gpt-5 --json", **plain))
    assert "claude-…" in json.loads(told.stdout)["error"]["message"]
    assert "claude-? (Anthropic)" in told.stderr


def test_prefect_tracks_nobody_who_is_at_a_terminal(tmp_path: Path):
    """It would tell its maker of a first import; `up` imports it, and is refused a port here."""
    leader, follower = pty.openpty()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [COMMAND, "up", "--port", str(taken.getsockname()[1]), "--work-dir", tmp_path / "home"],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            stdout=follower,
            stderr=follower,
            check=False,
        )
    told = os.read(leader, 1 << 16).decode()
    os.close(leader)
    os.close(follower)
    assert (done.returncode, "cannot be used" in told) == (2, True), told
    assert "usage data" not in told
    assert not (tmp_path / ".prefect" / ".sdk_telemetry").exists()


def test_it_takes_no_time(home: Path):
    """Seconds of a processor, since wall time is others' too on a busy machine."""
    before = os.times()
    run(home, BEFORE_A_SERVER[0])
    after = os.times()
    assert after.children_user - before.children_user < 3


@pytest.mark.parametrize("module", ["typer", "pydantic", "grindstone.flows.cli.app"])
def test_ctrl_c_before_anything_is_begun_says_nothing(home: Path, module: str):
    script = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from grindstone.flows.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "report"], cwd=home.parent, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_a_users_folder_is_found_where_no_shell_looked(home: Path):
    for line, variables in (
        ("grind --tasks-dir=~/nope --model-id rehearsal", {}),
        ("grind --model-id rehearsal", {"GRINDSTONE_TASKS_DIR": "~/nope"}),
        ("check --tasks-dir=~/nope", {}),
    ):
        told = run(home, wrong(line, **variables)).stderr
        assert f"{home}/nope: no such folder" in told, told
    told = run(home, wrong("grind --agent=~/nope.yaml --model-id rehearsal")).stderr
    assert "~/nope.yaml is no agent" in told
    (home / "mine.yaml").write_text("name: [")
    told = run(home, wrong("grind --agent=~/mine.yaml --model-id rehearsal")).stderr
    assert f"{home}/mine.yaml: " in told
    listed = run(home, wrong("runs", GRINDSTONE_WORK_DIR="~/none"))
    assert f"No run yet in {home}/none." in listed.stderr + listed.stdout


def test_down_takes_the_home_from_its_variable(home: Path):
    done = run(home, wrong("down", GRINDSTONE_WORK_DIR=str(home / "other")))
    assert str(home / "other") in done.stderr + done.stdout


def test_a_variable_that_nothing_reads_is_told(home: Path):
    told = run(
        home,
        wrong(
            "grind --model-id gpt-5",
            GRINDSTONE_MAX_CYCLE="1",
            GRINDSTONE_ESTIMATE="true",
            GRINDSTONE_JUDGE_MODEL_ID="other commands have it",
            GRINDSTONE_PATIENCE="{}",
            GRINDSTONE_SERVER_SERVICE_HOST="10.0.0.1",
        ),
    ).stderr.splitlines()
    assert told[:2] == [
        "GRINDSTONE_ESTIMATE is no setting's variable and has no effect",
        "GRINDSTONE_MAX_CYCLE is no setting's variable and has no effect; did you mean "
        "GRINDSTONE_MAX_CYCLES?",
    ]
    assert told[2].startswith("grindstone: --model-id: 'gpt-5'")


def test_what_the_code_reads_with_the_prefix_is_no_unread_variable():
    from grindstone.flows.cli.environment import unread_variables

    root = Path(__file__).parents[2]
    folders = [root / name for name in ("grindstone", "flows", "tasks", "blocks")]
    sources = [path.read_text() for folder in folders for path in folder.rglob("*.py")]
    named = re.compile(r'"(GRINDSTONE_[A-Z_]*[A-Z])"')
    read = {name for source in sources for name in named.findall(source)}
    assert "GRINDSTONE_PRICES" in read
    models = [each for each in vars(settings).values() if hasattr(each, "model_fields")]
    fields = {name for model in models for name in model.model_fields}
    assert unread_variables(fields, dict.fromkeys(read, "x")) == []


def test_a_rehearsal_does_not_listen_everywhere_for_want_of_an_address(home: Path):
    done = run(home, wrong("rehearsal --host ''"))
    assert done.returncode == 2
    assert "--host: is empty" in done.stderr
