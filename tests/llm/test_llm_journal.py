"""Paid answers survive kills, are paid once, and hold no secrets."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.model_service import MODEL, request, site

from grindstone.llm import Journal
from grindstone.records import Role


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "journal").glob("*.jsonl"))


async def test_a_resumed_run_replays_and_has_the_totals_of_an_undisturbed_one(service, opened):
    first, second = [], []
    async with opened(service.url, on_call=first.append) as models:
        model = models.get(MODEL)
        original = [await model.complete(request(f"q{n}"), site(n)) for n in range(2)]
    async with opened(service.url, on_call=second.append) as models:
        assert models.spent().calls == 2  # before anything is replayed
        model = models.get(MODEL)
        again = [await model.complete(request(f"q{n}"), site(n)) for n in range(3)]
        spent = models.spent()
    assert len(service.bodies) == 3
    assert [answer.replayed for answer in again] == [True, True, False]
    assert [answer.content for answer in again[:2]] == [answer.content for answer in original]
    assert [record.replayed for record in second] == [True, True, False]
    assert [record.call_id for record in second[:2]] == [record.call_id for record in first]
    unreplayed = [record.model_copy(update={"replayed": False}) for record in second[:2]]
    assert unreplayed == first
    assert spent.calls == 3
    assert spent.replayed_calls == 2
    assert spent.cost_usd == pytest.approx(sum(record.cost_usd for record in second))
    assert spent.usage.output_tokens == 300


async def test_an_attempt_made_again_in_the_same_process_counts_once(service, opened):
    records = []
    async with opened(service.url, on_call=records.append) as models:
        model = models.get(MODEL)
        for _ in range(3):
            await model.complete(request(), site())
        spent = models.spent()
    assert len(service.bodies) == len(records) == spent.calls == 1
    assert spent.usage.output_tokens == 100


async def test_a_different_request_place_model_or_run_goes_live(service, opened):
    async with opened(service.url) as models:
        model = models.get(MODEL)
        await model.complete(request(), site())
        await model.complete(request("another"), site())
        await model.complete(request(), site(1))
        await model.complete(request(), site(scope="episode-2"))
        await model.complete(request(), site(role=Role.JUDGE))
        await models.get("claude-opus-5-5").complete(request(), site())
    async with opened(service.url, run_key="run-2") as models:
        await models.get(MODEL).complete(request(), site())
    assert len(service.bodies) == 7


@pytest.mark.parametrize("cut", [1, 2, 40, 400])
async def test_a_torn_last_line_costs_one_call_and_harms_no_other(service, opened, tmp_path, cut):
    async with opened(service.url) as models:
        for turn in range(3):
            await models.get(MODEL).complete(request(), site(turn))
    (file,) = files(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:-cut])  # cut = 1 takes the newline only: the line is whole
    for expected in ([True, True, cut == 1, False], [True, True, True, True]):
        async with opened(service.url) as models:
            model = models.get(MODEL)
            answers = [await model.complete(request(), site(turn)) for turn in range(4)]
        assert [answer.replayed for answer in answers] == expected


async def test_a_changed_line_is_not_believed(service, opened, tmp_path):
    async with opened(service.url) as models:
        await models.get(MODEL).complete(request(), site())
    (file,) = files(tmp_path)
    file.write_text(file.read_text().replace("hello", "hullo"))
    async with opened(service.url) as models:
        answer = await models.get(MODEL).complete(request(), site())
    assert answer.text == "hello"
    assert not answer.replayed


async def test_nothing_of_the_connection_gets_in(service, opened, tmp_path):
    async with opened(service.url) as models:
        await models.get(MODEL).complete(request("a secret question"), site())
    (file,) = files(tmp_path)
    content = file.read_text()
    for secret in ("sk-ant-secret", service.url, "authorization", "a secret question"):
        assert secret not in content
    line = json.loads(content)
    assert set(line) == {"checksum", "entry"}
    assert set(line["entry"]) == {"record", "response"}


async def test_the_answer_is_on_disk_before_anyone_hears_of_it(service, opened, tmp_path):
    on_disk = []

    def heard(record):
        found = list(Journal(tmp_path / "journal").entries())
        on_disk.append(record.call_id in {entry.record.call_id for entry in found})

    async with opened(service.url, on_call=heard) as models:
        await models.get(MODEL).complete(request(), site())
    assert on_disk == [True]


async def test_odd_scopes_become_distinct_plain_names(service, opened, tmp_path):
    scopes = ["evolve/3", "evolve-3", "../../etc/passwd", "", "é" * 300]
    async with opened(service.url) as models:
        for scope in scopes:
            await models.get(MODEL).complete(request(), site(scope=scope))
    assert len(files(tmp_path)) == len(scopes)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(files(tmp_path))


WRITER = textwrap.dedent(
    """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path

    from grindstone.llm.calls import CallRecord
    from grindstone.llm.journal import Journal, JournalEntry
    from grindstone.llm.messages import CallSite, Response, Text
    from grindstone.records import Role, Usage

    journal, name, count = Journal(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
    site = CallSite(role=Role.SOLVER, scope="shared", turn=0)
    for n in range(count):
        record = CallRecord(
            call_id=f"{name}-{n}", run_key="r", role=site.role, scope=site.scope, turn=0,
            model="m", provider="anthropic", usage=Usage(output_tokens=1),
            started_at=datetime.now(UTC), duration_s=0,
        )
        text = (Text(text="x" * 20000),)
        answer = Response(content=text, stop_reason="end_turn", usage=Usage(), model="m")
        journal.append(site, JournalEntry(record=record, response=answer))
        print(n, flush=True)
    """
)


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.commands
async def test_several_processes_may_share_a_file_and_one_may_be_killed(tmp_path):
    writers = [writer(tmp_path, name, 25) for name in ("a", "b")]
    doomed = writer(tmp_path, "doomed", 100_000)
    assert doomed.stdout is not None
    for _ in range(10):
        await asyncio.to_thread(doomed.stdout.readline)
    doomed.send_signal(signal.SIGKILL)
    confirmed = 10 + len(doomed.stdout.read().split())
    doomed.wait()
    for process in writers:
        process.communicate(timeout=60)
        assert process.returncode == 0
    found = {entry.record.call_id for entry in Journal(tmp_path).entries()}
    assert {f"{name}-{n}" for name in ("a", "b") for n in range(25)} <= found
    assert {f"doomed-{n}" for n in range(confirmed)} <= found
    doomed.stdout.close()
