"""Which authorities Prefect's clients trust, where no certificate is ever shown.

Prefect reads the bundle of all authorities for each client it makes, twenty milliseconds of a
processor: once for each flow run, and dozens of times while all flows are deployed. Over plain
HTTP on this machine nothing is compared with it, so a bundle of one authority does as well.
"""

from collections.abc import Mapping
from pathlib import Path

import certifi

from grindstone.files import write_atomic
from grindstone.home import Home

VARIABLE = "PREFECT_API_SSL_CERT_FILE"
END = "-----END CERTIFICATE-----\n"


def one_authority(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that names a bundle of one; none where the environment names one.

    Args:
        home: Whose server answers over plain HTTP; the bundle is kept beside its database.
        environ: What a person has set stands.
    """
    if environ.get(VARIABLE):
        return {}
    bundle = Home.at(home).server / "authority.pem"
    if not bundle.exists():
        first, _, _ = Path(certifi.where()).read_text("utf-8").partition(END)
        bundle.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(bundle, first + END)
    return {VARIABLE: str(bundle)}
