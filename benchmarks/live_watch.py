"""How often a watch over clean runs is wrong, and how soon it is right.

    python benchmarks/live_watch.py [--agents 10000] [--episodes 2000] [--seed 1]

Agents work for ever, and the alarm is asked after every episode: at the floor itself, above it,
and below. Beside it stands the exact binomial test at the same level, asked as often, which is
what the watch is instead of. Ends with status 1 when the false alarms of agents at the floor are
more than stated (exact upper 95% bound above the level).
"""

import argparse
import sys

import numpy as np
from scipy.stats import binom

from grindstone.gate.exact import share
from grindstone.gate.watch import alarms
from grindstone.graduation.rules.policy import WatchRule

AT_ONCE = 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--episodes", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rule, draw = WatchRule(), np.random.default_rng(given.seed)
    print(f"floor {rule.floor:.0%}, level {rule.alpha:.0%}, {given.episodes} episodes an agent\n")
    print(f"{'clean runs':>10} | {'alarm':>8} {'after':>6} {'9 in 10':>8} | fixed, asked as often")
    broken = False
    for rate in (0.95, 0.9, rule.floor, 0.7, 0.6, 0.5, 0.2):
        after, naive = list[int](), 0
        for _ in range(0, given.agents, AT_ONCE):
            clean = (draw.uniform(size=(AT_ONCE, given.episodes)) < rate).astype(float)
            after += alarms(clean, floor=rule.floor, alpha=rule.alpha).tolist()
            counts = np.arange(1, given.episodes + 1)
            p_values = binom.cdf(clean.cumsum(axis=1), counts, rule.floor)
            naive += int((p_values <= rule.alpha).any(axis=1).sum())
        rang = [each for each in after if each]
        found = share(len(rang), len(after))
        middle, most = np.quantile(rang, (0.5, 0.9)) if rang else (np.nan, np.nan)
        print(
            f"{rate:>10.0%} | {found.value or 0:>8.2%} {middle:>6.0f} {most:>8.0f} |"
            f" {naive / len(after):.2%}"
        )
        broken |= rate >= rule.floor and found.low > rule.alpha
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
