import os
import pickle
import shutil
import time
from pathlib import Path

import pytest

from grindstone.benchmark.environment import start_spec, verifier_start_spec
from grindstone.benchmark.folder import TaskError
from grindstone.benchmark.loading import load_task, load_tasks
from grindstone.benchmark.schema import parse_size_mb
from grindstone.errors import InputError
from grindstone.resources import bundled


def toml(text):
    return {"task.toml": text}


def test_a_whole_task(write_task):
    config = """\
        version = "1.0"
        [metadata]
        title = "The answer"
        category = "sums"
        difficulty = "easy"
        tags = ["a", "b"]
        made = 2026-01-02
        [agent]
        timeout_sec = 120
        [verifier]
        timeout_sec = 30.5
        env = { TOKEN = "${TOKEN:-none}", N = 3 }
        [environment]
        cpus = 2
        memory = "2G"
        storage_mb = 10240
        allow_internet = false
        build_timeout_sec = 60
        env = { LANG = "${HOST_LANG}" }
        [solution.env]
        KEY = "${NOT_SET}"
        """
    task = load_task(write_task(**toml(config)), environ={"HOST_LANG": "C"})
    assert (task.task_id, task.title, task.category) == ("answer", "The answer", "sums")
    assert (task.difficulty, task.tags) == ("easy", ("a", "b"))
    assert task.metadata["made"] == "2026-01-02"
    assert (task.limits.cpus, task.limits.memory_mb, task.limits.storage_mb) == (2, 2048, 10240)
    assert task.network.mode == "none"
    assert (task.agent_timeout_s, task.verifier_timeout_s, task.build_timeout_s) == (120, 30.5, 60)
    assert task.verifier_env == {"TOKEN": "none", "N": "3"}
    assert task.env == {"LANG": "C"}
    assert task.solution_env == {}
    assert task.has_solution


def test_what_is_left_out_follows_harbor(write_task):
    task = load_task(write_task(**toml("")))
    assert task.network.mode == "public"
    assert (task.agent_timeout_s, task.verifier_timeout_s) == (900, 600)
    assert (task.limits.memory_mb, task.limits.memory_limit_mb) == (4096, 6144)
    assert not task.separate_verifier


@pytest.mark.parametrize(
    ("text", "mb"),
    [
        ("2G", 2048),
        ("1.5 GiB", 1536),
        ("512M", 512),
        ("512MB", 512),
        ("2048K", 2),
        ("2048", 2048),
        (2048, 2048),
        ("1T", 1024 * 1024),
    ],
)
def test_sizes(text, mb):
    assert parse_size_mb(text) == mb


@pytest.mark.parametrize("text", ["", "G", "-2G", "lots", "2X", "1K", True, None, [1]])
def test_no_sizes(text):
    with pytest.raises(ValueError, match=r"expected (a size|at least 1 MB)"):
        parse_size_mb(text)


@pytest.mark.parametrize(
    ("config", "field", "expected"),
    [
        ('[environment]\nmemory = "much"', "environment.memory", "size"),
        ("[environment]\nmemory_mb = -1", "environment.memory_mb", "size"),
        ("[environment]\ncpus = 0", "environment.cpus", "more than 0"),
        ("[environment]\ncpus = inf", "environment.cpus", "finite"),
        ('[environment]\ncpus = "2"', "environment.cpus", "number"),
        ('[environment]\nallow_internet = "no"', "environment.allow_internet", "true or false"),
        ('[environment]\nnetwork_mode = "some"', "environment.network_mode", "no-network"),
        (
            '[environment]\nnetwork_mode = "allowlist"\nallowed_hosts = ["https://example.org/"]',
            "environment.allowed_hosts.0",
            "a name such as example.org",
        ),
        (
            '[environment]\nnetwork_mode = "allowlist"\nallowed_hosts = ["10.0.0.1"]',
            "environment.allowed_hosts.0",
            "a name such as example.org",
        ),
        *(
            (
                f'[{section}]\nallowed_hosts = ["example.org"]\n{mode}',
                f"{section}.allowed_hosts",
                "both",
            )
            for section in ("environment", "agent", "verifier")
            for mode in ("", 'network_mode = "public"')
        ),
        ('[agent]\nnetwork_mode = "some"', "agent.network_mode", "no-network"),
        ("[environment]\ngpus = 1", "environment.gpus", "0"),
        ('[environment]\nmcp_servers = [{name = "x"}]', "environment.mcp_servers", "empty"),
        ('[environment]\nos = "windows"', "environment.os", "linux"),
        ('[environment]\nworkdir = "app"', "environment.workdir", "of the form ^/"),
        ("[agent]\ntimeout_sec = -5", "agent.timeout_sec", "more than 0"),
        ("[verifier]\ntimeout_sec = nan", "verifier.timeout_sec", ""),
        ('[verifier]\nenvironment_mode = "other"', "verifier.environment_mode", "separate"),
        ("[verifier]\nenv = [1]", "verifier.env", "a table"),
        ('[verifier.env]\n"A B" = "x"', "verifier.env.A B", "of the form"),
        ('[agent.env]\nKEY = "${NO_SUCH_VARIABLE}"', "agent.env", "NO_SUCH_VARIABLE"),
        ("agent = 3", "agent", "a table"),
        ("[metadata]\ncategory = 3", "metadata.category", "string"),
        ("[metadata]\ntags = 3", "metadata.tags", "list of strings"),
        ('[[steps]]\nname = "one"', "steps", "one step"),
        ("[broken", "", "valid TOML"),
    ],
)
def test_an_unusable_field_is_named(write_task, config, field, expected):
    with pytest.raises(TaskError) as caught:
        load_task(write_task(**toml(config)))
    error = caught.value
    assert (error.task_id, error.file, error.field) == ("answer", "task.toml", field)
    assert str(error).startswith("answer/task.toml")
    assert expected in str(error)


def test_every_unusable_field_is_told_at_once(write_task):
    config = """
        [environment]
        cpus = "two"
        memory = "lots"
        [agent]
        timeout_sec = "soon"
        [verifier]
        timeout_sec = -5
    """
    with pytest.raises(TaskError) as caught:
        load_task(write_task(**toml(config)))
    assert str(caught.value).splitlines() == [
        "answer/task.toml: agent.timeout_sec: is 'soon'; expected a number",
        "answer/task.toml: environment.cpus: is 'two'; expected a number",
        "answer/task.toml: environment.memory: is 'lots'; expected a size such as '2G', '512M' "
        "or a number of MB",
        "answer/task.toml: verifier.timeout_sec: is -5; expected more than 0",
    ]


@pytest.mark.parametrize(
    ("parts", "file"),
    [
        ({"instruction.md": None}, "instruction.md"),
        ({"instruction.md": "  \n"}, "instruction.md"),
        ({"task.toml": None}, "task.toml"),
        ({"environment/Dockerfile": None}, "environment/Dockerfile"),
        ({"environment/Dockerfile": "# nothing\n"}, "environment/Dockerfile"),
        ({"environment/docker-compose.yaml": "services: {}"}, "environment/docker-compose.yaml"),
        ({"tests/test.sh": None}, "tests/test.sh"),
        ({"solution/solve.sh": None, "solution/notes": "x"}, "solution/solve.sh"),
    ],
)
def test_a_missing_part_is_named(write_task, parts, file):
    with pytest.raises(TaskError) as caught:
        load_task(write_task(**parts))
    assert caught.value.file == file
    assert f"answer/{file}" in str(caught.value)


def test_a_ready_image_needs_no_dockerfile(write_task):
    config = '[environment]\ndocker_image = "debian:bookworm-slim"\n'
    task = load_task(write_task(**{"environment/Dockerfile": None, "task.toml": config}))
    assert task.image == "debian:bookworm-slim"


def test_bytes_that_are_no_text(write_task):
    folder = write_task()
    (folder / "instruction.md").write_bytes(b"caf\xe9")
    with pytest.raises(TaskError, match="UTF-8 at byte 3"):
        load_task(folder)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../outside", "../outside"])
def test_a_link_out_of_the_task(write_task, tmp_path, target):
    folder = write_task()
    (tmp_path / "tasks" / "outside").write_text("secret")
    (folder / "environment" / "data").symlink_to(target)
    if target == "../outside":  # stays within: links to nothing inside the task
        load_task(folder)
        return
    with pytest.raises(TaskError, match=r"environment/data: is a link out"):
        load_task(folder)


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "out and in"])
def test_a_link_that_another_machine_could_not_follow(write_task, absolute: bool):
    folder = write_task()
    there = folder / "environment" / "Dockerfile"
    way = there if absolute else Path("../..") / folder.name / "environment" / "Dockerfile"
    (folder / "environment" / "data").symlink_to(way)
    with pytest.raises(TaskError, match=r"environment/data: is a link by way of what is outside"):
        load_task(folder)


def test_a_name_that_is_no_text(write_task):
    folder = write_task()
    Path(os.fsdecode(os.fsencode(folder / "tests") + b"/caf\xe9")).write_text("")
    with pytest.raises(TaskError, match="has a name that is no text; expected UTF-8"):
        load_task(folder)


def test_a_pipe_in_the_task(write_task):
    folder = write_task()
    os.mkfifo(folder / "tests" / "pipe")
    with pytest.raises(TaskError, match="special file"):
        load_task(folder)


def test_one_broken_folder_leaves_the_others(write_task, tmp_path):
    write_task("good")
    write_task("bad", **toml("[agent]\ntimeout_sec = 0"))
    (tmp_path / "tasks" / "notes").mkdir()
    (tmp_path / "tasks" / ".hidden").mkdir()
    dataset = load_tasks(tmp_path / "tasks")
    assert [task.task_id for task in dataset.tasks] == ["good"]
    assert [error.task_id for error in dataset.broken] == ["bad"]


def test_a_task_folder_is_a_collection_of_one(write_task):
    assert [task.task_id for task in load_tasks(write_task("only")).tasks] == ["only"]


def test_no_tasks(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_tasks(tmp_path / "nothing")
    with pytest.raises(InputError, match="no task in it"):
        load_tasks(tmp_path)


def test_a_folder_of_collections_names_the_one_below(write_task, tmp_path):
    write_task("whole")
    with pytest.raises(InputError, match="no task in it, but in tasks below it; expected that"):
        load_tasks(tmp_path)


def test_the_older_format_is_known_by_its_file(tmp_path):
    folder = tmp_path / "collection" / "old-task"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text("instruction: do it\n")
    with pytest.raises(InputError, match=r"its old-task is of .* older format .* migrate"):
        load_tasks(tmp_path / "collection")


@pytest.mark.slow
def test_a_folder_that_nobody_touches_is_read_once(write_task):
    settled = bundled("examples/tasks/plain-inventory")
    assert load_task(settled, environ={}) is load_task(settled, environ={})
    assert load_task(settled, environ={"A": "b"}) is not load_task(settled, environ={})
    folder = write_task()
    solution = folder / "solution" / "solve.sh"
    deadline = time.monotonic() + 5
    while (first := load_task(folder)) is not load_task(folder):
        assert time.monotonic() < deadline, "not remembered"
        time.sleep(0.1)
    old = solution.stat()
    solution.write_text(solution.read_text().swapcase())  # as long as before, and as old
    os.utime(solution, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert load_task(folder).digest != first.digest


def test_the_digest_is_of_content_alone(write_task, tmp_path):
    folder = write_task()
    before = load_task(folder)
    elsewhere = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(folder, elsewhere)
    assert load_task(elsewhere).digest == before.digest
    (folder / "README.md").write_text("not part of the task")
    assert load_task(folder).digest == before.digest
    (folder / "tests" / "test.sh").chmod(0o755)
    changed = load_task(folder)
    assert changed.digest != before.digest
    assert changed.environment_digest == before.environment_digest
    (folder / "environment" / "data").write_text("x")
    assert load_task(folder).environment_digest != before.environment_digest


def test_an_allow_list_of_hosts(write_task):
    config = """\
        [environment]
        network_mode = "allowlist"
        allowed_hosts = ["Example.org", "*.example.net", "example.com:8443"]
        """
    network = load_task(write_task(**toml(config))).network
    assert network.mode == "allowlist"
    assert network.hosts == ("example.org", "*.example.net", "example.com:8443")


ONLINE = 'network_mode = "public"'
OFFLINE = 'network_mode = "no-network"'
LISTED = 'network_mode = "allowlist"\nallowed_hosts = ["packages.example.org"]'


@pytest.mark.parametrize(
    ("environment", "agent", "verifier", "own", "expected"),
    [
        (OFFLINE, "", "", None, ("none", "none")),
        (ONLINE, OFFLINE, "", None, ("allowlist", "public")),
        (ONLINE, LISTED, OFFLINE, None, ("allowlist", "none")),
        (OFFLINE, ONLINE, "", None, ("public", "none")),
        (ONLINE, "", OFFLINE, None, ("public", "none")),
        (OFFLINE, "", LISTED, None, ("allowlist", "allowlist")),
        (ONLINE, "", "", OFFLINE, ("public", "none")),
        (ONLINE, "", LISTED, OFFLINE, ("public", "allowlist")),
    ],
)
def test_agent_and_tests_may_have_networks_of_their_own(
    write_task, environment, agent, verifier, own, expected
):
    config = f"[environment]\n{environment}\n[agent]\n{agent}\n[verifier]\n{verifier}\n"
    if own is not None:
        config += f"[verifier.environment]\n{own}\n"
    task = load_task(write_task(**toml(config)))
    agents, tests = start_spec(task, "any").network, verifier_start_spec(task, "any").network
    assert (agents.mode, tests.mode) == expected
    assert task.verifier_network == tests
    if agent == OFFLINE:
        assert task.network.mode == "none"
        assert agents.hosts == (), "a door for the tests, at which the agent is refused"
    if agent == LISTED:
        assert agents.hosts == ("packages.example.org",)


def test_a_separate_verifier(write_task):
    config = """\
        artifacts = ["/app/out", { source = "/a", destination = "b" }]
        [verifier.environment]
        docker_image = "debian:bookworm-slim"
        memory_mb = 100
        allow_internet = false
        """
    task = load_task(write_task(**toml(config)))
    assert task.separate_verifier
    assert task.verifier_image == "debian:bookworm-slim"
    assert task.verifier_limits is not None
    assert task.verifier_limits.memory_mb == 100
    assert (task.network.mode, task.verifier_network.mode) == ("public", "none")
    assert [artifact.source for artifact in task.artifacts] == ["/app/out", "/a"]


def test_errors_survive_pickling(write_task):
    with pytest.raises(TaskError) as caught:
        load_task(write_task(**toml("[agent]\ntimeout_sec = 0")))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.file, again.field) == (
        str(caught.value),
        "task.toml",
        "agent.timeout_sec",
    )
