"""Autonomy that is earned: levels, readiness, constitution, exam, promotion, audit trail.

Names are loaded when they are first used, so importing the room costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grindstone.graduation.audit.chain import Chain as Chain
    from grindstone.graduation.audit.event import AuditError as AuditError
    from grindstone.graduation.audit.event import AuditEvent as AuditEvent
    from grindstone.graduation.audit.event import EventKind as EventKind
    from grindstone.graduation.audit.verify import verify as verify
    from grindstone.graduation.capabilities import CapabilityRule as CapabilityRule
    from grindstone.graduation.capabilities import standing as standing
    from grindstone.graduation.constitution.evaluate import evaluate as evaluate
    from grindstone.graduation.constitution.pack import load_packs as load_packs
    from grindstone.graduation.exam import ExamResult as ExamResult
    from grindstone.graduation.levels import ActionClass as ActionClass
    from grindstone.graduation.levels import Level as Level
    from grindstone.graduation.levels import Permission as Permission
    from grindstone.graduation.levels import permission as permission
    from grindstone.graduation.live import LiveTool as LiveTool
    from grindstone.graduation.live import LiveToolbox as LiveToolbox
    from grindstone.graduation.live import work_live as work_live
    from grindstone.graduation.policy import GraduationPolicy as GraduationPolicy
    from grindstone.graduation.policy import load_policies as load_policies
    from grindstone.graduation.policy import load_policy as load_policy
    from grindstone.graduation.readiness import Readiness as Readiness
    from grindstone.graduation.readiness import readiness_score as readiness_score
    from grindstone.graduation.recording import Work as Work
    from grindstone.graduation.recording import log_session as log_session
    from grindstone.graduation.reviewing import Review as Review
    from grindstone.graduation.scope import Scope as Scope
    from grindstone.graduation.service import GraduationService as GraduationService
    from grindstone.graduation.streaks import streak as streak

_HOMES = {
    "ActionClass": "levels",
    "AuditError": "audit.event",
    "AuditEvent": "audit.event",
    "CapabilityRule": "capabilities",
    "Chain": "audit.chain",
    "EventKind": "audit.event",
    "ExamResult": "exam",
    "GraduationPolicy": "policy",
    "GraduationService": "service",
    "Level": "levels",
    "LiveTool": "live",
    "LiveToolbox": "live",
    "Permission": "levels",
    "Readiness": "readiness",
    "Review": "reviewing",
    "Scope": "scope",
    "Work": "recording",
    "evaluate": "constitution.evaluate",
    "load_packs": "constitution.pack",
    "load_policies": "policy",
    "load_policy": "policy",
    "log_session": "recording",
    "permission": "levels",
    "readiness_score": "readiness",
    "standing": "capabilities",
    "streak": "streaks",
    "verify": "audit.verify",
    "work_live": "live",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
