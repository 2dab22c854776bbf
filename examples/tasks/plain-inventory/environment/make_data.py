"""Writes the inventory; the same seed gives the same table everywhere."""

import csv
import random
import sys
from pathlib import Path

KINDS = ["bolt", "nut", "washer", "bracket", "hinge", "spring", "dowel", "clamp"]
FINISHES = ["zinc", "brass", "steel, brushed", "black", 'steel "A2"']


def records(seed=4711, count=60):
    """Return the rows as they should come out."""
    draw = random.Random(seed)
    return [
        {
            "sku": f"{draw.choice('KLMR')}-{draw.randrange(1000, 9999)}",
            "item": f"{draw.choice(KINDS)}, {draw.choice(FINISHES)}",
            "shelf": f"{draw.choice('ABCD')}{draw.randrange(1, 40)}",
            "quantity": draw.randrange(1, 5000),
            "price": draw.randrange(5, 9000) / 100 + 0.001,
        }
        for _ in range(count)
    ]


def main(root):
    rows = records()
    folder = Path(root) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "inventory.csv", "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "price": f"{row['price']:.3f}"} for row in rows)


if __name__ == "__main__":
    main(sys.argv[1])
