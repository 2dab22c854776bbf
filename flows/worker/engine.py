"""The program of one flow run: Prefect's engine, loaded without looking for garbage.

`grindstone.flows.worker` starts it.
"""

import runpy
from importlib import import_module

from grindstone.collecting import before_exit, loading

SHARED = ("prefect.flow_engine", "grindstone.flows.run")
"""What a flow of ours needs, whichever it is."""


def main() -> None:
    """Run the flow run that Prefect's variables in the environment name."""
    with loading():
        for name in SHARED:
            import_module(name)
    try:
        runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
    finally:
        before_exit()


if __name__ == "__main__":
    main()
