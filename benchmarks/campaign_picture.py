"""Draw docs/campaign.svg: what a search sees gate by gate, and what sealed tasks say of it.

    python benchmarks/campaign_picture.py [--campaigns 1000] [--seed 1] [--to docs/campaign.svg]

Simulated as `grindstone gate simulate` does, 40 tasks x 3 trials of which 20 are sealed, rule
`higher`: once where nothing works, once where changes are +6, 0 and -6 points at 25/50/25%.
"""

import argparse
from pathlib import Path

from grindstone.gate.campaign import Campaign, parse_effects, simulate_campaigns
from grindstone.report.plots import Point, line_over, render_svg

KINDS = {"nothing works": "0:1", "some changes work": "+6:.25,0:.5,-6:.25"}
GATES = (1, *range(2, 21, 2))
HERE = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--campaigns", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--to", type=Path, default=HERE / "docs" / "campaign.svg")
    given = parser.parse_args()
    points: list[Point] = []
    for kind, effects in KINDS.items():
        for gates in GATES:
            plan = Campaign(changes=gates, effects=parse_effects(effects))
            odds = simulate_campaigns(plan, campaigns=given.campaigns, seed=given.seed)
            points.append(Point(gates, odds.search_gain, f"while searching, {kind}"))
            points.append(Point(gates, odds.released_gain or 0.0, f"on sealed tasks, {kind}"))
    last = {point.series: point.value for point in points}
    title = (
        f"A search sees {last['while searching, nothing works']:+.0f} points where there is nothing"
    )
    chart = line_over(points, title, x="gates", y="points above the start")
    given.to.write_bytes(render_svg(chart))


if __name__ == "__main__":
    main()
