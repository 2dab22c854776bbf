"""What rules say decides whether an episode is checked anew, not the version they state."""

import shutil
from pathlib import Path

from graduation_support import fill

from grindstone.graduation import GraduationService
from grindstone.graduation.constitution.checking import check
from grindstone.graduation.decisions.review import unchecked_episodes
from grindstone.resources import bundled

RULE = """
  - id: CONDUCT-NO-GIFTS
    title: Nothing is presented
    severity: critical
    kind: pattern
    where: said
    pattern: 'Here it is'
"""


async def test_a_rule_added_under_the_same_version_is_held_against_earlier_work(tmp_path: Path):
    rules = tmp_path / "constitution"
    shutil.copytree(bundled("examples/constitution"), rules)
    service = GraduationService(tmp_path)
    await fill(service, 3)
    assert not unchecked_episodes(service.registry, ["ada"])
    pack = rules / "conduct.yaml"
    pack.write_text(pack.read_text() + RULE)
    again = GraduationService(tmp_path).registry
    due = unchecked_episodes(again, ["ada"])
    assert len(due) == 3
    found = await check(again, due)
    assert [each.score for (each,) in found.values()] == [0.0] * 3
    assert not unchecked_episodes(again, ["ada"])
