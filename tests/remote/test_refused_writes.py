"""An answer is paid for, and storage does not take it: a bucket that has become read-only."""

from pathlib import Path

import pytest
from support.model_service import MODEL, QUICK, request, serving, site
from support.object_storage import Bucket, Spoiled

from grindstone.errors import Cause, InfrastructureError
from grindstone.home import Home
from grindstone.llm import open_models

pytestmark = pytest.mark.slow


async def test_nothing_more_is_paid_for_until_storage_has_what_was(
    s3: Bucket, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with Spoiled(s3, rate=0, seed=1) as storage:
        monkeypatch.setenv("AWS_ENDPOINT_URL", storage.bucket.endpoint)
        storage.refused_verbs = frozenset({"PUT"})
        async with (
            serving() as service,
            open_models(
                run_key="K",
                journal_dir=Home.at(address).run("K").journal,
                environ={"ANTHROPIC_API_KEY": "sk-ant-x", "ANTHROPIC_BASE_URL": service.url},
                patience=QUICK,
            ) as models,
        ):
            model = models.get(MODEL)
            storage.refusing = 403
            for text in (
                "one",
                "one",
                "another",
            ):  # as an attempt that is tried again, and the next
                with pytest.raises(InfrastructureError, match="lacked the necessary priv") as told:
                    await model.complete(request(text), site())
                assert told.value.cause is Cause.REMOTE_HOME
            assert len(service.bodies) == 1
            storage.refusing = None
            answers = [await model.complete(request(text), site()) for text in ("one", "another")]
            assert [answer.replayed for answer in answers] == [True, False]
            assert len(service.bodies) == 2
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / "another machine"))
    home = Home.at(address)
    assert home.mirror is not None
    assert len(home.mirror.store.listed("runs/K/journal")) == 2
