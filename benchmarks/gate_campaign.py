"""What whole campaigns of gates come to, rule by rule: truth, search and release side by side.

    python benchmarks/gate_campaign.py [--campaigns 2000] [--seed 1]

Two tables, on 40 held-out tasks x 3 trials of which 20 are sealed for the release:

1. Nothing works: every change has no effect, over 10, 20 and 50 gates. The share of campaigns
   that announce a gain must be at most 5%, its exact upper 95% bound under 6.5%: the first
   release alone takes half of that, and leaves the rest to later ones.
2. Some changes work: +6, 0 and -6 points at 25/50/25%, touching all tasks or 15% of them.
   `higher` with its anchor must truly gain at least twice what `no_regression` does alone. Beside
   them stand what an anchor adds to that rule, and what second looks at candidates near the edge
   (`looks`: the most a campaign makes) add to `higher`, against as many attempts spent evenly.

In every cell what the release measures and the truth may differ by less than a point on average.
Ends with status 1 when a claim does not hold.
"""

import argparse
import sys
import time
from typing import Any

from grindstone.gate.campaign import Campaign, CampaignOdds, parse_effects, simulate_campaigns
from grindstone.gate.exact import at_most
from grindstone.gate.rules import RuleName

RULES: tuple[RuleName, ...] = ("higher", "no_regression", "improvement", "threshold")
LEVEL, BOUND = 0.05, 0.065


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--campaigns", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    started = time.perf_counter()
    failed: list[str] = []
    print("\n1. Nothing works\n")
    _head()
    for rule in RULES:
        for changes in (10, 20, 50):
            looks = Campaign().second_looks if rule == "higher" else 0
            nothing = parse_effects("0:1")
            plan = _plan(rule, changes=changes, effects=nothing, second_looks=looks)
            odds = _row(plan, given.campaigns, given.seed, failed)
            count = round(odds.claims * odds.campaigns)
            upper = at_most(count, odds.campaigns)
            if odds.false_claims > LEVEL or upper >= BOUND:
                failed.append(f"{rule}, {changes}: false claims {odds.claims:.1%}, <= {upper:.1%}")
    print("\n2. +6 / 0 / -6 points at 25/50/25%, 20 gates\n")
    _head()
    for touched in (1.0, 0.15):
        gains = {}
        for rule, anchor in [("higher", True), *((rule, False) for rule in RULES[1:])]:
            plan = _plan(rule, touched=touched, anchor=anchor)
            gains[rule] = _row(plan, given.campaigns, given.seed, failed).true_gain
        if gains["higher"] < 2 * gains["no_regression"]:
            failed.append(f"touched {touched}: higher gains less than twice no_regression's")
        for other in (
            _plan("no_regression", touched=touched),
            _plan("higher", touched=touched, second_looks=4),
            _plan("higher", touched=touched, second_looks=20),
            _plan("higher", touched=touched, trials=4),
            _plan("higher", touched=touched, trials=2, second_looks=20),
        ):
            _row(other, given.campaigns, given.seed, failed)
    print(f"\n{given.campaigns} campaigns a cell, {time.perf_counter() - started:.0f} s")
    for claim in failed:
        print(f"DOES NOT HOLD: {claim}")
    return int(bool(failed))


def _plan(rule: RuleName, **more: Any) -> Campaign:
    plain = {"threshold": 0.5 if rule == "threshold" else 0.0, "second_looks": 0}
    return Campaign(rule=rule, **plain | more)


def _head() -> None:
    print(
        f"{'rule':>14} {'anchor':>6} {'looks':>5} {'trials':>6} {'gates':>5} {'touched':>7} |"
        f" {'true':>6} {'search':>7}"
        f" {'release':>7}"
        f" | {'claims':>6} {'false':>6} {'worse':>6} | {'attempts':>8}"
    )


def _row(plan: Campaign, campaigns: int, seed: int, failed: list[str]) -> CampaignOdds:
    odds = simulate_campaigns(plan, campaigns=campaigns, seed=seed)
    released = odds.released_gain or 0.0
    print(
        f"{plan.rule:>14} {'yes' if plan.anchor else 'no':>6} {plan.second_looks:>5}"
        f" {plan.trials:>6} {plan.changes:>5}"
        f" {plan.touched:>7.0%} | {odds.true_gain:>+6.1f}"
        f" {odds.search_gain:>+7.1f} {released:>+7.1f} | {odds.claims:>6.1%}"
        f" {odds.false_claims:>6.1%} {odds.ends_worse:>6.1%} | {odds.attempts:>8,.0f}"
    )
    if abs(released - odds.true_gain) >= 1:
        failed.append(
            f"{plan.rule}, {plan.changes}: release {released:+.1f}, true {odds.true_gain:+.1f}"
        )
    return odds


if __name__ == "__main__":
    sys.exit(main())
