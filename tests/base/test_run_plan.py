"""A run's plan outlives the version that wrote it."""

import json
from pathlib import Path

import pytest

from grindstone.errors import InputError
from grindstone.runs.plan import open_workspace, plan_run
from grindstone.settings import GrindSettings


def test_a_run_begun_before_a_setting_existed_goes_on_with_its_default(tmp_path: Path):
    settings = GrindSettings(work_dir=tmp_path, task_ids=["plain-inventory"], run_key="old")
    workspace = open_workspace(settings)
    assert not plan_run("grind", settings, workspace).resumed
    path = settings.home.run("old").plan
    plan = json.loads(path.read_text())
    del plan["settings"]["context_tokens"]
    path.write_text(json.dumps(plan))
    assert plan_run("grind", settings, workspace).resumed
    other = settings.model_copy(update={"context_tokens": 90_000})
    with pytest.raises(InputError, match="context_tokens was 150000, now 90000"):
        plan_run("grind", other, workspace)
