from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support.model_service import QUICK, Service, serving

from grindstone.llm import open_models


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as service:
        yield service


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Any]:
    """`open_models` with a key, a journal and no pauses; `url` is the Anthropic base URL."""

    def open_(url: str, **changes: Any) -> Any:
        arguments = {
            "run_key": "run-1",
            "journal_dir": tmp_path / "journal",
            "patience": QUICK,
            "environ": {"ANTHROPIC_API_KEY": "sk-ant-secret", "ANTHROPIC_BASE_URL": url},
        }
        return open_models(**(arguments | changes))

    return open_
