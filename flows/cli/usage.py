"""What is said of a command line that cannot be read: the fault, and the nearest that could."""

import difflib

from typer import TyperException

from grindstone.flows.cli.ending import Ending


def usage_ending(error: TyperException) -> Ending:
    """Return how the command ends: with the nearest option where one was mistyped."""
    if type(error).__name__ == "NoArgsIsHelpError":  # the help itself has been printed
        return Ending(2, "usage", ())
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    wrong = getattr(error, "option_name", None)
    if wrong is not None and context is not None:
        known = [name for parameter in context.command.params for name in parameter.opts]
        near = difflib.get_close_matches(wrong, known, n=2)
        text = f"no such option: {wrong}"
        if near:
            text += f"; did you mean {' or '.join(near)}?"
    help_command = f"; `{context.command_path} --help` lists what there is" if context else ""
    return Ending(2, "usage", (f"{text.rstrip('.')}{help_command}",))
