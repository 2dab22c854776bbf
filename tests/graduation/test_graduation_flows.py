"""Exam and review as flows: attempts in real sandboxes, promotion after them."""

import logging
from pathlib import Path

import pytest
from graduation_support import fill, work

from grindstone.graduation import GraduationService
from grindstone.graduation.audit.signing import make_keys
from grindstone.graduation.audit.verify import verify
from grindstone.resources import bundled
from grindstone.settings import GraduationSettings, Profile

pytestmark = [pytest.mark.server, pytest.mark.docker, pytest.mark.timeout(240)]
CASE = "examples/graduation/cases/quote-farm-tractor"


async def test_exam_review_and_promotion(
    prefect_server: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from grindstone.flows.exam import exam
    from grindstone.flows.graduate import graduate
    from grindstone.flows.review import review

    rehearsing = tmp_path / "policies" / "rehearsing.yaml"
    rehearsing.parent.mkdir()
    rehearsing.write_text("name: rehearsing\nrehearsals: true\n")
    service = GraduationService(tmp_path)
    await fill(service, 12)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    settings = GraduationSettings(
        work_dir=tmp_path, agent_id="ada", agents=["ada"], native_profile=Profile.NOP
    )
    logger = logging.getLogger("prefect.flow_runs")
    caplog.set_level(logging.INFO, logger.name)
    monkeypatch.setattr(logger, "handlers", [*logger.handlers, caplog.handler])
    assert not (await exam(settings)).passed  # there is no case yet
    assert "Exam of ada for INTERN on no case" in caplog.messages
    await service.add_edge_case("ep-99", bundled(CASE), added_by="Grace")
    assert (await review(settings)).decisions[0].action == "exam_due"
    caplog.clear()
    idle = await exam(settings)
    assert [case.passed for case in idle.cases] == [False]
    [case] = idle.cases
    told = [
        f"Exam of ada for INTERN on 1 case: {case.title}",
        f"✗ {case.title}: {case.detail}",
        f"Exam of ada for INTERN: not passed; {idle.reason}.",
    ]
    # Another test may have had it hand on what it is told, to the same handler.
    assert [line for line in dict.fromkeys(caplog.messages) if line in told] == told
    refused = await graduate(settings.model_copy(update={"validated_by": "Grace"}))
    assert not refused.promoted
    assert "no exam for INTERN" in refused.missing[0]
    taken = await exam(settings.model_copy(update={"native_profile": Profile.ORACLE}))
    assert taken.passed
    assert service.registry.episode(taken.cases[0].episode_id).purpose.value == "exam"
    assert (await review(settings)).decisions[0].action == "approval_due"
    key = tmp_path / "audit.pem"
    public = make_keys(key)
    signing = {"validated_by": "Grace", "signing_key": key}
    done = await graduate(settings.model_copy(update=signing))
    assert (done.promoted, done.level.value) == (True, "INTERN")
    assert done.event is not None
    sealed = verify(service.registry.chain, public_key=public)
    assert (sealed.intact, sealed.signed_up_to) == (True, done.event.sequence)
