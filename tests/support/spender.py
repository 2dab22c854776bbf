"""A process of a run that pays for calls until a ceiling ends it: python spender.py NAME HOME …

Arguments: its name, the home, the address of the service, tokens that may be used, calls at once.
Says that it is ready, and begins when it is given a line; prints the number of its answers.
"""

import asyncio
import sys
from itertools import count

from support.model_service import MODEL, QUICK, request, site

from grindstone.errors import BudgetExceededError
from grindstone.home import Home
from grindstone.llm import open_models
from grindstone.llm.budget import Spending
from grindstone.runs.shared_budget import SharedBudget

QUESTION = "word " * 800
"""As many bytes as tokens of an answer are told for, at three a token."""


async def spend(name: str, home: str, url: str, ceiling: int, at_once: int) -> int:
    folder = Home.at(home).run("K")
    budget = await asyncio.to_thread(SharedBudget, folder)
    answers, turns = 0, count()

    async def go_on() -> None:
        nonlocal answers
        for turn in turns:
            await model.complete(request(QUESTION, max_tokens=200), site(turn, scope=name))
            answers += 1

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    async with open_models(
        run_key="K",
        journal_dir=folder.journal,
        spending=Spending(max_tokens_total=ceiling),
        environ={"ANTHROPIC_API_KEY": "sk-ant-secret", "ANTHROPIC_BASE_URL": url},
        patience=QUICK,
        shared=budget,
    ) as models:
        model = models.get(MODEL)
        ended = await asyncio.gather(*(go_on() for _ in range(at_once)), return_exceptions=True)
    await budget.close()
    for end in ended:
        if not isinstance(end, BudgetExceededError):
            raise end if isinstance(end, BaseException) else RuntimeError("it ended by itself")
    return answers


if __name__ == "__main__":
    name, home, url, ceiling, at_once = sys.argv[1:]
    print(asyncio.run(spend(name, home, url, int(ceiling), int(at_once))))
