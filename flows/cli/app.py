"""The commands by name; a command's module is imported when that command runs.

What `grindstone --help` lists is written here, so that it starts without loading settings,
pydantic and whatever else a command needs. A new command is one line in `COMMANDS`, naming the
module in this package whose `register` adds it.
"""

import difflib
import importlib
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Listed(NamedTuple):
    """A command as the list shows it."""

    module: str
    help: str


COMMANDS = {
    "grind": Listed("grind", "Solve, fail, learn, and try the same tasks again."),
    "compare": Listed("compare", "The same tasks with and without the learned skills."),
    "adapt": Listed("adapt", "Learn without labels: attempt, judge, evolve, weigh, repeat."),
    "gate": Listed("gate", "Weigh a change on the same tasks before and after; roll it back."),
    "release": Listed("release", "Has it gained since its last release? From sealed tasks alone."),
    "check": Listed("check", "Are these tasks sound? Oracle must pass, doing nothing must fail."),
    "report": Listed("report", "What a run came to, as text, page or data."),
    "runs": Listed("runs", "The runs of this home: how they ended, what they cost."),
    "steer": Listed("steer", "Pause a run that goes on, call it off, change its limits."),
    "diff": Listed("runs", "Two runs: the tasks that flipped, the skills that changed."),
    "view": Listed("view", "Runs, attempts and skills in a browser, side by side and live."),
    "episodes": Listed("episodes", "The attempts, and one of them step by step."),
    "skills": Listed("skills", "An agent's skills, their history, and going back in it."),
    "compete": Listed("compete", "How competent an agent is per domain; train the weakest."),
    "route": Listed("route", "Send a task to the agent that does its domain best."),
    "review": Listed("review", "Who is ready for more autonomy, and who no longer holds it."),
    "exam": Listed("exam", "Edge cases made of failures, and an agent's exam on them."),
    "promote": Listed("promote", "Raise an agent's level by one, if everything allows it."),
    "demote": Listed("demote", "Lower an agent's level, on a named human's word."),
    "audit": Listed("audit", "The trail of all decisions: verify, show, export, sign, import."),
    "rehearsal": Listed("rehearsal", "Serve the offline stand-in for a model."),
    "home": Listed("homes", "Copy a home between folders and object storage; check one."),
    "up": Listed("up", "Start Prefect server and worker and deploy all flows."),
    "down": Listed("up", "End the server and the worker that `up` started."),
    "reap": Listed("reap", "End the sandboxes that dead runs left on this machine."),
    "doctor": Listed("doctor", "What works on this machine, and what mends what doesn't."),
}


class LazyGroup(TyperGroup):
    """Loads the one command that is asked for, and none to list them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order they are shown."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, whole; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        holder = typer.Typer()
        holder.callback()(_nothing)  # with a callback, one command makes a group too
        importlib.import_module(f"grindstone.flows.cli.{COMMANDS[cmd_name].module}").register(
            holder
        )
        group: Any = typer.main.get_command(holder)
        return group.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; one that is mistyped is told with the nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=2)
            told = f"; did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"no such command: {name}{told}")
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the list with the lines written above."""
        shown = _Shown(name=self.name, params=self.params, help=self.help)
        shown.rich_markup_mode = self.rich_markup_mode
        shown.format_help(ctx, formatter)


class _Shown(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name].help)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"grindstone {version('grindstone')}")
        raise typer.Exit


def _nothing() -> None:
    """Do nothing before a command."""


def _before(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")
    ] = False,
) -> None:
    """Take what is asked of the program itself."""


app = typer.Typer(
    name="grindstone",
    cls=LazyGroup,
    help="Run an agent on tasks, learn skills from its failures, keep what helps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(_before)
