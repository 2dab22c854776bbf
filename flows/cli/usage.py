"""What is said of a command line that cannot be read: the fault, and the nearest that could."""

import difflib

from typer import TyperException

from grindstone.errors import InputError
from grindstone.flows.cli.ending import Ending, ending_of


def usage_ending(error: TyperException) -> Ending:
    """Return how the command ends: with the nearest option where one was mistyped."""
    if type(error).__name__ == "NoArgsIsHelpError":  # the help itself has been printed
        return Ending(2, "usage", ())
    if (refused := _refused(error)) is not None:
        return ending_of(refused)
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


def _refused(error: TyperException) -> InputError | None:
    """Return what an option's value is and should be, where that is what is wrong."""
    parameter, cause = getattr(error, "param", None), error.__cause__
    if parameter is None or type(cause).__name__ != "ValidationError":
        return None
    from pydantic import ValidationError

    from grindstone.validation import faults

    assert isinstance(cause, ValidationError)
    fault, first = faults(cause)[0], cause.errors()[0]
    where = parameter.opts[0]
    if first["type"] != "value_error":
        return InputError(where, fault.problem, fault.expected)
    _, _, choices = first["msg"].rstrip(".").partition(" is not one of ")
    expected = f"one of {choices.replace(chr(39), '')}" if choices else first["msg"]
    return InputError(where, f"is {first['input']!r}", expected)
