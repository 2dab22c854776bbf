"""Judged rules decided by a program of others, which asks the judge's model from a sandbox."""

import json
from pathlib import Path

import pytest
from graduation_support import START, work
from support.model_service import serving

from grindstone.errors import InputError
from grindstone.flows.review import review
from grindstone.graduation import GraduationService
from grindstone.graduation.intake.recording import Work, keep, rows_for
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import ComplianceRow
from grindstone.llm import Journal
from grindstone.records import Purpose, Role
from grindstone.settings import GraduationSettings

POLICY = "name: lawyers\nagents: [ada]\npacks: [legal]\n"
PROGRAM = r"""
import json, os, urllib.request
asked = open(os.environ["PROMPT_FILE"]).read()
body = {"model": os.environ["MODEL"], "max_tokens": 100,
        "messages": [{"role": "user", "content": asked}]}
request = urllib.request.Request(
    os.environ["URL"] + "/v1/messages", json.dumps(body).encode(),
    {"content-type": "application/json", "x-api-key": os.environ["KEY"]},
)
urllib.request.urlopen(request, timeout=60).read()
assert '"violated"' in asked, "it is told what an answer looks like"
answer = {"violated": "LEGAL-ADVICE" in asked, "evidence": "as the program found", "step": None}
open("/root/.agent/answer", "w").write(json.dumps(answer))
"""
AGENT = {
    "name": "own-judge",
    "command": "python3 /root/.agent/judge.py",
    "env": {"URL": "{base_url}", "KEY": "{token}", "MODEL": "{model}"}
    | {"PROMPT_FILE": "{prompt_file}"},
    "files": {"/root/.agent/judge.py": PROGRAM},
}


@pytest.mark.bubblewrap
@pytest.mark.server
async def test_a_review_puts_judged_rules_to_a_program(tmp_path: Path, prefect_server: str) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "lawyers.yaml").write_text(POLICY)
    (tmp_path / "judge.yaml").write_text(json.dumps(AGENT))
    home = tmp_path / "home"
    registry = GraduationService(home).registry
    item = rows_for(
        registry, Work.model_validate(work(1)), run_key="one", purpose=Purpose.ROUTE, now=START
    )
    keep(registry, [item], run_key="one")
    given = {
        "work_dir": home,
        "policies_dir": tmp_path / "policies",
        "judge_agent": str(tmp_path / "judge.yaml"),
        "sandbox": "bubblewrap",
        "run_key": "r",
    }
    async with serving() as service:
        model = f"messages:the-model@{service.url}"
        await review(GraduationSettings.model_validate(given | {"judge_model_id": model}))
    rows = {row.pack: row for row in Ledger(home).rows(ComplianceRow)}
    legal = rows["legal"]
    assert legal.score is not None
    assert legal.score < 1.0
    assert "as the program found" in legal.model_dump_json()
    kept = [*Journal(home / "runs/r/journal").entries()]
    assert len(kept) == len(service.bodies) >= 1
    assert {entry.record.role for entry in kept} == {Role.JUDGE}
    with pytest.raises(InputError, match="judge_agent"):
        await review(GraduationSettings.model_validate(given | {"run_key": "s"}))
