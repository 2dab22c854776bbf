"""What Prefect's clients read of certificates where they speak plain HTTP."""

import ssl
from pathlib import Path

from grindstone.flows.serving.authorities import VARIABLE, one_authority


def test_it_is_a_bundle_of_one_that_a_client_can_read(tmp_path: Path):
    named = one_authority(tmp_path, {})
    context = ssl.create_default_context(cafile=named[VARIABLE])
    assert context.cert_store_stats()["x509"] == 1
    assert one_authority(tmp_path, {}) == named


def test_what_a_person_has_named_stands(tmp_path: Path):
    assert one_authority(tmp_path, {VARIABLE: "/etc/ssl/own.pem"}) == {}
    assert not list(tmp_path.iterdir())
