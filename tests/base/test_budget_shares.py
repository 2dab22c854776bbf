"""What processes of a run hold of its ceilings; here they are objects of one process."""

import asyncio
import random
from pathlib import Path

import pytest
from support.remote_rows import paid_call

from grindstone.errors import BudgetExceededError
from grindstone.home import Home, RunFolder
from grindstone.llm.budget import CallNeed, Spending
from grindstone.llm.journal import Journal
from grindstone.records import Usage
from grindstone.remote.shared_record import SharedRecord
from grindstone.runs import lease
from grindstone.runs.account import Account
from grindstone.runs.shared_budget import SharedBudget

pytestmark = pytest.mark.catalogue(of="what workers share")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    monkeypatch.setattr(lease, "LOST_S", 1.0)
    return Home.at(tmp_path).run("K")


def account_of(folder: RunFolder) -> Account:
    found = SharedRecord(folder.account, Account).read()
    assert found is not None
    return found


class Process:
    """One that spends tokens; it ends with `budget.close`, or is never heard of again."""

    def __init__(self, folder: RunFolder, ceiling: int | None, *, drives: bool = False) -> None:
        self.budget = SharedBudget(folder, drives=drives)
        self.journal = Journal(folder.journal)
        self.ceiling = ceiling
        self.beyond = 0  # by which calls passed their estimate, at most

    async def ceilings(self) -> Spending:
        return Spending(max_tokens_total=self.ceiling)

    async def call(self, name: str, tokens: int, *, expected: int, most: int, lasts_s: float = 0):
        give_back = await self.budget.begin(CallNeed(expected, 0.0, most, 0.0), self.ceilings)
        try:
            await asyncio.sleep(lasts_s)
            where, entry = paid_call(name)
            record = entry.record.model_copy(update={"usage": Usage(output_tokens=tokens)})
            entry = entry.model_copy(update={"record": record})
            self.journal.append(where, entry, payer=self.budget.payer)
            self.budget.paid(record)
            self.beyond = max(self.beyond, tokens - expected)
        finally:
            give_back()

    def silence(self) -> None:
        """Give no more signs of life, as a process that hangs."""
        self.budget._over.set()


def paid(folder: RunFolder) -> int:
    bills = Journal(folder.journal).bills()
    return sum(bill.record.usage.total_tokens for bill in bills)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
async def test_the_ceiling_is_passed_by_no_more_than_one_call_uses_beyond_its_estimate(
    folder: RunFolder, seed: int
):
    chance, ceiling, refused = random.Random(seed), 20_000, 0
    processes = [Process(folder, ceiling) for _ in range(3)]

    async def spend(process: Process, number: int) -> None:
        nonlocal refused
        most = chance.randrange(100, 2_000)
        expected, tokens = chance.randrange(1, most), chance.randrange(1, most)
        try:
            await process.call(
                f"{number}", tokens, expected=expected, most=most, lasts_s=chance.random() / 50
            )
        except BudgetExceededError:
            refused += 1

    await asyncio.gather(*(spend(chance.choice(processes), number) for number in range(60)))
    for process in processes:
        await process.budget.close()
    used = paid(folder)
    assert refused
    assert ceiling / 2 < used <= ceiling + max(process.beyond for process in processes)
    account = account_of(folder)
    assert (account.settled.tokens, account.shares) == (used, {})


async def test_most_calls_ask_nobody(folder: RunFolder):
    process, changes = Process(folder, 1_000_000), set()
    for number in range(150):
        await process.call(f"{number}", 1_000, expected=1_000, most=2_000)
        changes.add(folder.account.stat().st_mtime_ns)
    await process.budget.close()
    assert len(changes) < 15


async def test_one_that_waits_gets_what_another_does_not_use(folder: RunFolder):
    rich, poor = Process(folder, 1_000), Process(folder, 1_000)
    await rich.call("a", 100, expected=100, most=100)
    held = account_of(folder).shares[rich.budget.payer]
    assert held.granted.tokens > 250
    for number in range(9):
        await poor.call(f"b{number}", 100, expected=100, most=100)
    with pytest.raises(BudgetExceededError, match=r"1,000 tokens are used.* the ceiling is 1,000"):
        await poor.call("c", 100, expected=100, most=100)
    await rich.budget.close()
    await poor.budget.close()


@pytest.mark.slow
async def test_one_that_is_silent_is_given_up_and_does_not_spend_on_when_it_wakes(
    folder: RunFolder,
):
    hangs, other = Process(folder, 1_000), Process(folder, 1_000)
    in_flight = asyncio.create_task(hangs.call("late", 200, expected=200, most=300, lasts_s=2.5))
    await hangs.call("a", 100, expected=100, most=100)
    hangs.silence()
    await asyncio.sleep(0.2)
    for number in range(8):  # the last one waits until the share is given up
        await other.call(f"b{number}", 100, expected=100, most=100)
    assert hangs.budget.payer not in account_of(folder).shares
    assert account_of(folder).settled.tokens == 100
    await in_flight
    with pytest.raises(BudgetExceededError):
        await hangs.call("c", 200, expected=200, most=200)
    assert account_of(folder).settled.tokens == 300  # what it paid for while it was given up
    await other.budget.close()
    await hangs.budget.close()
    assert paid(folder) == account_of(folder).settled.tokens == 1_100


@pytest.mark.slow
async def test_a_changed_ceiling_holds_for_all_at_once(folder: RunFolder):
    one, two = Process(folder, 10_000), Process(folder, 10_000)
    for process in (one, two):
        await process.call(f"a{process is one}", 100, expected=100, most=100)
    one.ceiling = two.ceiling = 250
    with pytest.raises(BudgetExceededError, match="the ceiling is 250"):
        await one.call("b", 100, expected=100, most=100)
    one.ceiling = two.ceiling = 400
    await one.call("c", 100, expected=100, most=100)
    await two.call("d", 100, expected=100, most=100)
    with pytest.raises(BudgetExceededError):
        await two.call("e", 100, expected=100, most=100)
    await one.budget.close()
    await two.budget.close()


async def test_what_was_spent_before_there_was_a_ceiling_counts(folder: RunFolder):
    one, two = Process(folder, None), Process(folder, None)
    for number in range(3):
        await one.call(f"a{number}", 100, expected=100, most=100)
        await two.call(f"b{number}", 100, expected=100, most=100)
    assert not SharedBudget.is_kept(folder)
    one.ceiling = two.ceiling = 700
    await one.call("c", 100, expected=100, most=100)
    with pytest.raises(BudgetExceededError, match="700 tokens are used"):
        await two.call("d", 100, expected=100, most=100)
    await one.budget.close()
    await two.budget.close()
    assert account_of(folder).settled.tokens == paid(folder) == 700


@pytest.mark.slow
async def test_a_call_that_is_called_off_while_it_waits_lets_others_go(folder: RunFolder):
    one, two = Process(folder, 500), Process(folder, 500)
    long = asyncio.create_task(one.call("a", 300, expected=300, most=300, lasts_s=1.5))
    await asyncio.sleep(0.1)
    waits = asyncio.create_task(two.call("b", 150, expected=150, most=400))
    await asyncio.sleep(0.3)
    assert [share.waits for share in account_of(folder).shares.values()] == [0, 1]
    waits.cancel()
    await asyncio.wait([waits])
    await one.call("c", 100, expected=100, most=100)
    await long
    await one.budget.close()
    await two.budget.close()
    assert (account_of(folder).settled.tokens, account_of(folder).shares) == (400, {})


async def test_who_drives_the_run_settles_what_others_left_and_begins_with_the_journal(
    folder: RunFolder,
):
    driver, worker = Process(folder, 1_000, drives=True), Process(folder, 1_000)
    await worker.call("a", 100, expected=100, most=100)
    worker.silence()  # it is killed
    await asyncio.sleep(0.2)
    await driver.budget.close()
    assert (account_of(folder).settled.tokens, account_of(folder).shares) == (100, {})
    assert sorted(path.name for path in folder.slices.iterdir()) == ["account.json", "account.lock"]

    where, late = paid_call("late")  # the worker had been asking as it was given up
    record = late.record.model_copy(update={"usage": Usage(output_tokens=600)})
    worker.journal.append(
        where, late.model_copy(update={"record": record}), payer=worker.budget.payer
    )
    again = Process(folder, 1_000, drives=True)
    with pytest.raises(BudgetExceededError, match="700 tokens are used"):
        await again.call("b", 400, expected=400, most=400)
    await again.budget.close()
