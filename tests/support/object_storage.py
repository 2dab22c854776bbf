"""S3 as a process of its own: moto's server, with a bucket, behind whatever stands before it."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from grindstone.flows.addresses import free_port

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


class Bucket(NamedTuple):
    """A bucket that answers at an address."""

    endpoint: str
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in order to find it."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint}


@contextmanager
def serving_s3(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Bucket]:
    """Serve S3 with one bucket until the block ends; its log is in the folder."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    server = Path(sys.executable).with_name("moto_server")
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [str(server), "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, **(environment or {})},
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(150):
            try:
                request = urllib.request.Request(f"{endpoint}/kept", method="PUT")
                urllib.request.urlopen(request, timeout=10).close()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        yield Bucket(endpoint, "kept")
    finally:
        process.kill()
        process.wait()
