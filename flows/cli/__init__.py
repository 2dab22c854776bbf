"""The `grindstone` command. Importing it imports neither Prefect nor a model's SDK."""

import sys

from grindstone.errors import (
    BudgetExceededError,
    GrindstoneError,
    InfrastructureError,
    InputError,
    RefusedError,
)


def exit_code(error: GrindstoneError) -> int:
    """Return 1 for a refusal or a spent budget, 2 for bad input, 3 for infrastructure."""
    if isinstance(error, InputError):
        return 2
    if isinstance(error, InfrastructureError):
        return 3
    if isinstance(error, (RefusedError, BudgetExceededError)):
        return 1
    return 3


def main() -> None:
    """Run the command line and exit: 0 done, 1 the answer is no, 2 input, 3 infrastructure."""
    from grindstone.flows.cli.app import app

    try:
        app()
    except GrindstoneError as error:
        sys.stderr.write(f"grindstone: {error}\n")
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.stderr.write("grindstone: interrupted; the same --run-key resumes\n")
        sys.exit(130)
