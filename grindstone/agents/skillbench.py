"""The documented place of `SkillBenchAgent`: made of whole attempts, it is at home above."""

from grindstone.attempt.skillbench import SkillBenchAgent

__all__ = ["SkillBenchAgent"]
