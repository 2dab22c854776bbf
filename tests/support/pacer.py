"""A process that asks a model as often as it may: python pacer.py NAME URL RATE."""

import asyncio
import sys
import tempfile
from itertools import count
from pathlib import Path

from support.model_service import MODEL, QUICK, request, site

from grindstone.llm import open_models
from grindstone.llm.pace import Paces, Rates
from grindstone.tasks.server_bucket import ServerBucket


async def ask_on(name: str, url: str, rate: int) -> None:
    turns = count()

    async def go_on() -> None:
        for turn in turns:
            await model.complete(request(), site(turn, scope=name))

    with tempfile.TemporaryDirectory() as journal:
        async with open_models(
            run_key=name,
            journal_dir=Path(journal),
            environ={"ANTHROPIC_API_KEY": "sk-ant-secret", "ANTHROPIC_BASE_URL": url},
            patience=QUICK,
            paces=Paces(Rates(requests_per_minute=rate), ServerBucket),
        ) as models:
            model = models.get(MODEL)
            await asyncio.gather(*(go_on() for _ in range(3)))


if __name__ == "__main__":
    asyncio.run(ask_on(sys.argv[1], sys.argv[2], int(sys.argv[3])))
