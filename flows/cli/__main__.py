"""`python -m grindstone.flows.cli` is the `grindstone` command."""

from grindstone.flows.cli import main

main()
