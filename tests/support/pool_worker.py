"""A Prefect worker as `prefect worker start` makes it, for one look at its pool."""

import os
import subprocess
import sys


def work_once(pool: str, server: str, *, timeout_s: float, python: str = sys.executable) -> str:
    """Take what waits in a pool now, see it to its end, and return what was said."""
    done = subprocess.run(
        [
            *(python, "-m", "prefect", "worker", "start", "--pool", pool),
            *("--run-once", "--prefetch-seconds", "60"),
        ],
        env=os.environ | {"PREFECT_API_URL": server},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return done.stdout + done.stderr
