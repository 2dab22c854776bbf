"""The commands, one module each; a module is imported when its command runs."""

import typer

from flows.cli import check, compare, doctor, episodes, grind, rehearsal, report, skills, up

app = typer.Typer(
    name="grindstone",
    help="Run an agent on tasks, learn skills from its failures, keep what helps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (grind, compare, check, report, episodes, skills, rehearsal, up, doctor):
    module.register(app)
