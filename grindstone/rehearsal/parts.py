"""Which part a request asks to be played, and who plays it."""

from grindstone.records import Role
from grindstone.rehearsal import evolver, judge, solver, writers
from grindstone.rehearsal.wire import ModelRequest, ScriptedAnswer

_PLAYERS = {
    Role.SOLVER: solver.answer,
    Role.EVOLVER: evolver.answer,
    Role.JUDGE: judge.answer,
    Role.CLASSIFIER: judge.answer,
    Role.SUMMARY: writers.summary,
    Role.DISTILLATION: writers.distillation,
    Role.TASK_SKILL: writers.task_skill,
}


def role_of(asked: ModelRequest) -> Role | None:
    """Return the part: the prompt's first line says it, else the tools and schema do."""
    if asked.role is not None:
        return asked.role
    if "workspace_bash" in asked.tool_names:
        return Role.EVOLVER
    if "bash" in asked.tool_names:
        return Role.SOLVER
    if asked.schema is not None:
        return Role.JUDGE
    return Role.SOLVER if "task_complete" in asked.system + asked.user_text else None


def answer(asked: ModelRequest) -> ScriptedAnswer:
    """Return the next turn of whoever is asked."""
    role = role_of(asked)
    if role is None:
        return ScriptedAnswer(
            "This is a rehearsal: a local server that plays fixed parts (solver, evolver, judge "
            "and a few writers) and understands no free conversation."
        )
    return _PLAYERS[role](asked)
