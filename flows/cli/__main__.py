"""`python -m flows.cli` is the `grindstone` command."""

from flows.cli import main

main()
