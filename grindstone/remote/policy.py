"""What a worker of one run may do in the storage of a home, as a policy document for S3.

A worker reads the home, and writes rows, calls, results and signs of life of its own run. It
writes no audit event, no workspace, no plan, no report and no row of another run. S3 grants a write
whether or not it replaces something: that no row of its own run is replaced, the code alone keeps.
"""

from urllib.parse import quote

from pydantic import JsonValue

from grindstone.errors import InputError
from grindstone.remote.place import address_of

WRITTEN = ("journal", "attempts", "results", "slices", "internal")
"""Folders of its run that a worker writes in."""
REMOVED = ("attempts", "slices")
"""What it removes there, when the rows are in the ledger or the slice has ended."""


def worker_policy(address: str, run_key: str) -> dict[str, JsonValue]:
    """Return the policy for short-lived credentials of a run's workers.

    Args:
        address: The home's, `s3://bucket/prefix`.
        run_key: The run.

    Raises:
        InputError: The home is not in S3.
    """
    found = address_of(address)
    if found is None or not found.startswith("s3://"):
        raise InputError(address, "is not in S3", "a home at s3://…")
    bucket, _, prefix = found.removeprefix("s3://").partition("/")
    home = f"arn:aws:s3:::{bucket}/{prefix}".rstrip("/")
    run = f"{home}/runs/{run_key}"
    rows = f"{home}/ledger/*/run={quote(run_key, safe='')}"
    below = f"{prefix}/*" if prefix else "*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "List",
                "Effect": "Allow",
                "Action": ["s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{bucket}"],
                "Condition": {"StringLike": {"s3:prefix": [below]}},
            },
            {
                "Sid": "Read",
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": [f"{home}/*"],
            },
            {
                "Sid": "Write",
                "Effect": "Allow",
                "Action": ["s3:PutObject"],
                "Resource": [f"{rows}/*", *(f"{run}/{each}/*" for each in WRITTEN)],
            },
            {
                "Sid": "Remove",
                "Effect": "Allow",
                "Action": ["s3:DeleteObject"],
                "Resource": [f"{run}/{each}/*" for each in REMOVED],
            },
        ],
    }
