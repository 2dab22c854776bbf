"""What all tests share: isolation, and what must not be skipped where everything is there."""

import gc
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.pods import missing
from support.real_cluster import RealCluster
from support.rehearsal_server import rehearsal_url
from support.resting import RESTING
from support.schedule import ByHand, in_order
from support.server_logs import ServerLogs
from support.share import ENGINES, SEED, SHARE, Draw, choose_engine, drawn
from support.unwanted import unwanted

__all__ = ["rehearsal_url"]

MUST_RUN = {"docker", "bubblewrap", "sandbox", "browser", "server"}
"""Markers whose tests may be skipped on a bare machine, but not with GRINDSTONE_REQUIRE_ALL.

Programs of others, which only a package registry has, may be missing all the same (`registry`).
"""

SERVERS = {"prefect_server", "up"}
"""Fixtures that start a Prefect server."""


settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # other tests and their servers keep this machine busy


def pytest_report_header() -> str:
    draw = Draw.from_environment()
    of_what = "all of" if draw.share == 1 else f"a share of {draw.share:g} by seed {draw.seed} of"
    return f"catalogues: {of_what} each ({SHARE}, {SEED}; `make drills` runs all)"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return unwanted(collection_path, config.getoption("markexpr")) or None


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what a fixture's name tells, before tests are selected by their marks."""
    names = set(getattr(item, "fixturenames", ()))
    if names & SERVERS:
        item.add_marker("server")
    if "any_provider" in names:
        item.add_marker("sandbox")


def pytest_sessionstart() -> None:
    gc.disable()  # collecting imports all there is, and makes no garbage


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is left to `make drills`; the longest files come first."""
    kept = drawn(items, Draw.from_environment())
    if left_out := [item for item in items if item not in set(kept)]:
        config.hook.pytest_deselected(items=left_out)
    items[:] = in_order(kept)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByHand | None:
    return ByHand(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    required = (
        os.environ.get("GRINDSTONE_REQUIRE_ALL")
        and any(item.get_closest_marker(name) for name in MUST_RUN)
        and not item.get_closest_marker("registry")
    )
    if required and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report


@cache
def _absent(kind: str) -> str:
    """Return why a kind of sandbox does not work here; empty when it does."""
    from grindstone.sandbox import probe

    if kind == "kubernetes":
        return "" if RealCluster.configured() else missing()
    tool = probe().engine(kind)
    return "" if tool.works else f"{kind}: {tool.reason}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Choose a sandbox for what takes any, and skip what needs one that this machine has not."""
    draw = Draw.from_environment()
    if draw.share < 1:
        choose_engine(item, draw, bubblewrap=not _absent("bubblewrap"))
    for kind in ENGINES:  # the engine is looked for where the test will see it
        if item.get_closest_marker(kind) and (why := _absent(kind)):
            pytest.skip(why)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Behind a test comes one that wants the process's server, or it rests."""
    RESTING.before(nextitem)


@pytest.fixture(scope="session", autouse=True)
def isolated_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep Prefect's files and credentials of the person who runs the tests out of them."""
    home = tmp_path_factory.mktemp("prefect-home")
    kept = dict(os.environ)
    for name in list(os.environ):
        if (
            name.startswith(("ANTHROPIC_", "AWS_", "GOOGLE_", "OPENAI_", "PREFECT_"))
            and "CA_" not in name
        ):
            del os.environ[name]
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_LOCAL_STORAGE_PATH"] = str(home / "storage")
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ["DO_NOT_TRACK"] = "1"
    yield home
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(scope="session")
def server_logs(tmp_path_factory: pytest.TempPathFactory) -> ServerLogs:
    """The logs of all servers that the tests of this process start."""
    return ServerLogs(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def _servers_do_not_complain(
    request: pytest.FixtureRequest, server_logs: ServerLogs
) -> Iterator[None]:
    """Fail a test in which a Prefect server logged an error: what it should have done it did not.

    A scheduler that makes no run, for one, is seen nowhere else.
    """
    yield
    if SERVERS & set(request.fixturenames) or request.node.get_closest_marker("server"):
        complaints = server_logs.complaints()
        assert not complaints, "\n\n".join(complaints)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium to drive."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on this machine")
    return path


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API address of a Prefect server of this test process's own, used by flows within it."""
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_SSL_CERT_FILE,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_LEVEL,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    from grindstone.flows.serving.authorities import VARIABLE as AUTHORITIES
    from grindstone.flows.serving.authorities import one_authority
    from grindstone.flows.serving.login import VARIABLE, login
    from grindstone.flows.serving.server import start

    home = tmp_path_factory.mktemp("prefect-server")
    state = start(home, detached=False)
    RESTING.watch(state.server.pid)
    # For commands that a test gives this address; whoever starts another server ignores it.
    os.environ[VARIABLE] = login(home)
    updates = {
        PREFECT_API_AUTH_STRING: login(home),
        PREFECT_API_SSL_CERT_FILE: one_authority(home, {})[AUTHORITIES],
        PREFECT_API_URL: state.api_url,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        PREFECT_LOGGING_LEVEL: "ERROR",
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    try:
        with temporary_settings(updates):
            yield state.api_url
    finally:
        del os.environ[VARIABLE]
        RESTING.forget()
        state.server.stop()
