"""Workers and the work pool of local processes: a flow run is one process, and nothing else runs.

`python -m grindstone.flows.worker` is a worker's program.
"""

ENGINE = f"{__name__}.engine"
"""The program of one flow run, after `python -m`."""
