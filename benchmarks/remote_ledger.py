"""How long competency takes with the ledger in object storage, beside the same in a folder.

S3 is a server process on this machine, so there is no network between: what is measured is what
Grindstone adds to it. "First" is a machine that has none of the rows, "again" the same one later.

    python benchmarks/remote_ledger.py                     10 million rows
    python benchmarks/remote_ledger.py --rows 1000000
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from grindstone.runs.home_copy import copy_home

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

from competency import generate, measured
from support.object_storage import serving_s3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--agents", type=int, default=10_000)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="grindstone-remote-ledger-"))
    table = Table("what", "seconds", "of the folder's")
    try:
        size = generate(root / "home", options.rows, options.agents)
        with serving_s3(root) as bucket:
            os.environ |= {**bucket.environment, "GRINDSTONE_CACHE_DIR": str(root / "cache")}
            address = f"{bucket.url}/home"
            began = time.perf_counter()
            copy_home(str(root / "home"), address)
            copied = time.perf_counter() - began
            folder = [measured(root / "home", 0.0)[1] for _ in range(2)]
            first, *again = (measured(Path(address), 0.0)[1] for _ in range(3))
            folder.append(measured(root / "home", 0.0)[1])
            found = {"a folder": min(folder), "storage, first": first, "storage, again": min(again)}
        for name, took in found.items():
            table.add_row(name, f"{took:.2f}", f"{took / found['a folder']:.2f}")
        table.caption = (
            f"{options.rows:,} rows, {size:.0f} MB; copied and checked in {copied:.1f} s"
        )
    finally:
        shutil.rmtree(root)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
