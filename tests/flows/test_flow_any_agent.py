"""Every flow that attempts tasks lets any agent work, and asks any model."""

import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr
from support.agents import black_box_agent

from grindstone.agents.agent_file import load_agent
from grindstone.agents.profiles import Profile
from grindstone.agents.strands import StrandsSolver
from grindstone.blocks import (
    AgentBlock,
    BenchmarkBlock,
    BlockNames,
    ModelBlock,
    SandboxBlock,
    WorkspaceBlock,
    configure,
    credentials,
)
from grindstone.errors import InputError
from grindstone.flows.adapt import adapt
from grindstone.flows.compare import compare
from grindstone.flows.compete import compete
from grindstone.flows.exam import exam
from grindstone.flows.gate import gate
from grindstone.flows.grind import grind
from grindstone.flows.release import release
from grindstone.flows.route import route
from grindstone.flows.warrant import warrant
from grindstone.graduation import GraduationService
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import JudgeVerdictRow
from grindstone.llm.calls import CallRecord
from grindstone.llm.prices import OwnPrice, PriceList
from grindstone.llm.providers import resolve_model_id
from grindstone.llm.service import Api, service_of
from grindstone.masking import Mask
from grindstone.records import Episode, Role, utc_now
from grindstone.resources import bundled
from grindstone.settings import (
    AdaptiveSettings,
    CompareSettings,
    CompetencySettings,
    GateSettings,
    GraduationSettings,
    GrindSettings,
    ReleaseSettings,
    RouteSettings,
    RunSettings,
    WarrantSettings,
)
from grindstone.workspace import Workspace

pytestmark = [
    pytest.mark.catalogue(of="agents of others"),
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(300),
]

CASE = "examples/graduation/cases/quote-farm-tractor"
TASK, OTHER = "crlf-kit", "errors-by-hour"
SEALED = ["branch-sales", "deleted-branch", "dropped-stash"]
Flow = Callable[[Any], Awaitable[object]]

FLOWS: Mapping[str, tuple[Flow, type[RunSettings], dict[str, Any]]] = {
    "exam": (
        exam,
        GraduationSettings,
        {},
    ),
    "grind": (grind, GrindSettings, {"task_ids": [TASK], "max_cycles": 2}),
    "evolver": (grind, GrindSettings, {"task_ids": [TASK], "max_cycles": 2}),
    "compare": (compare, CompareSettings, {"task_ids": [TASK]}),
    "gate": (gate, GateSettings, {"task_ids": [TASK]}),
    "warrant": (warrant, WarrantSettings, {"task_ids": [TASK], "max_attempts": 2}),
    "adapt": (
        adapt,
        AdaptiveSettings,
        {"task_ids": [TASK, OTHER], "holdout_ratio": 0.5, "max_cycles": 1, "max_skills": 20},
    ),
    "compete": (
        compete,
        CompetencySettings,
        {"task_ids": [OTHER], "train": "queue", "domains_by": "category"},
    ),
    "route": (route, RouteSettings, {"task": TASK, "approved_by": "the test"}),
    "release": (
        release,
        ReleaseSettings,
        {"task_ids": SEALED, "baseline": "seed", "alpha": 0.45, "trials": 1},
    ),
}
"""Each is given what it needs to make an attempt or two; they follow one another in one home."""


async def test_every_flow_lets_any_agent_work_with_any_model(
    tmp_path: Path, rehearsal_url: str, prefect_server: str, monkeypatch: pytest.MonkeyPatch
):
    """The grind with a solver's code, the others with a program behind the proxy."""
    monkeypatch.setenv("GRINDSTONE_REHEARSAL_URL", rehearsal_url)
    home, file = tmp_path / "home", black_box_agent(tmp_path)
    chat, messages = f"openai:rehearsal@{rehearsal_url}/v1", f"messages:rehearsal@{rehearsal_url}"
    program = ("rehearsal", f"command {load_agent(str(file)).label}")
    code = (chat, "code grindstone.agents.strands:StrandsSolver")
    ledger, service = Ledger(home), GraduationService(home)
    seed = bundled("seed_workspaces/skillbench")
    Workspace.create(home / "agents" / "skillbench" / "workspace", seed)
    for name, (flow, kind, more) in FLOWS.items():
        given: dict[str, Any] = {"agent": str(file), "model_id": "rehearsal"}
        if name == "grind":
            given = {"solver": StrandsSolver, "model_id": chat}
        elif name == "adapt":
            given |= {"evolver_model_id": chat, "judge_model_id": messages}
            given["judge_agent"] = str(file)
        elif name == "evolver":
            given |= {"evolver_agent": str(file), "agent_id": "evolved"}
        elif name == "exam":
            await service.record_episode(
                agent_id="bob",
                episode_id="failed",
                title="A quote",
                success=False,
                started_at=utc_now(),
            )
            case = await service.add_edge_case("failed", bundled(CASE), added_by="Grace")
            given["cases"] = [case.case_id]
        common = {"work_dir": home, "run_key": name, "sandbox": "bubblewrap", "max_workers": 2}
        await flow(kind(**common, **given, **more))
        made = [each for each in ledger.rows(Episode) if each.run_key == name]
        assert made, name
        assert {(each.model, each.profile) for each in made} == {
            code if name == "grind" else program
        }, name
        assert not [each.error_detail for each in made if each.error_detail], name
    evolved = [each.passed for each in ledger.rows(Episode) if each.run_key == "evolver"]
    assert sorted(evolved, key=bool) == [False, True]
    answers = (home / "runs/evolver/journal").glob("evolver-*.jsonl")
    assert any(b'"opaque"' in path.read_bytes() for path in answers), "they came through the proxy"
    judges = {(row.model, row.error) for row in ledger.rows(JudgeVerdictRow)}
    assert judges == {(f"{load_agent(str(file)).label} ({messages})", "")}
    calls = ledger.rows(CallRecord)
    asked = {role: {call.model for call in calls if call.role is role} for role in Role}
    assert asked[Role.SOLVER] == {"rehearsal", chat}
    assert asked[Role.EVOLVER] == {"rehearsal", chat}
    assert asked[Role.JUDGE] == {messages}


async def test_saved_blocks_say_who_works_and_hold_the_key(tmp_path: Path, prefect_server: str):
    await AgentBlock(agent="codex").save("who", overwrite=True)
    own = {"openai:qwen3": OwnPrice(input=0.2, output=0.6)}
    await ModelBlock(
        model_id="openai:qwen3",
        openai_api_key=SecretStr("sk-of-the-block"),
        openai_base_url="http://localhost:11434/v1",
        judge_model_id="openai:judge",
        prices=own,
    ).save("model", overwrite=True)
    names = BlockNames(agent="who", model="model")
    mine = AdaptiveSettings(work_dir=tmp_path, solver=StrandsSolver)
    settings = await configure(mine, names)
    assert (settings.agent, settings.solver) == ("codex", None)
    assert settings.native_profile is Profile.COMMAND
    assert (settings.model_id, settings.judge_model_id) == ("openai:qwen3", "openai:judge")
    assert settings.max_tokens_total, "the judge has no price: a ceiling in tokens"
    environ = await credentials("model")
    service = service_of(resolve_model_id("openai:qwen3", environ), environ)
    assert service.headers["authorization"] == "Bearer sk-of-the-block"
    assert service.urls[Api.CHAT] == "http://localhost:11434/v1/chat/completions"
    assert PriceList.of_environment(environ).prices == own
    assert Mask.of(environ)("sk-of-the-block") == "[key]"
    for wrong in ({}, {"agent": "codex", "solver": "a:b"}):
        with pytest.raises(ValueError, match="expected one of"):
            AgentBlock(**wrong)


async def test_what_a_block_holds_wrongly_is_told_under_its_name(
    tmp_path: Path, prefect_server: str
):
    async def saved(kind: type[Block], **values: Any) -> str:
        """Save a block as its fields once allowed: what is saved is not looked at again."""
        name = f"wrong-{kind.__name__.lower()}"
        block = kind()
        for field, value in values.items():
            setattr(block, field, value)
        await block.save(name, overwrite=True)
        return name

    names = BlockNames(
        workspace=await saved(WorkspaceBlock, agent_id="Ä B"),
        sandbox=await saved(SandboxBlock, max_workers=99, timeout_multiplier=5000.0),
    )
    for field, told in (
        ("workspace", "blocks.workspace.agent_id: is 'Ä B'; expected text of the form"),
        ("sandbox", "blocks.sandbox.timeout_multiplier: is 5000.0; expected at most 1000"),
        ("sandbox", "blocks.sandbox.max_workers: is 99; expected at most 64"),
    ):
        with pytest.raises(InputError, match=re.escape(told)):
            await configure(
                AdaptiveSettings(work_dir=tmp_path),
                names.model_copy(
                    update={other: None for other in ("workspace", "sandbox") if other != field}
                ),
            )
    await BenchmarkBlock(limit=3).save("few", overwrite=True)
    given = AdaptiveSettings(work_dir=tmp_path, sealed_ratio=0.1).model_copy(
        update={"holdout_ratio": 0.95}
    )
    with pytest.raises(InputError, match="holdout_ratio"):
        await configure(given, BlockNames(benchmark="few"))
