"""Writes one export per branch, each as its cash system does."""

import csv
import io
import random
import sys
from pathlib import Path

PRODUCTS = ["Café crème", "Müsli", "Smörgås", "Piña", "Brötchen", "Jalapeño", "Açaí bowl", "Thé glacé"]
CLERKS = ["Zoë", "Jürgen", "Åsa", "Renée", "Iñaki", "Björn"]

# file name, encoding, delimiter, decimal comma
SYSTEMS = {
    "a_harbour.txt": ("utf-16", "\t", True),
    "b_station.csv": ("utf-8-sig", ";", True),
    "c_market.csv": ("cp1252", "|", True),
    "d_airport.csv": ("utf-8", ",", False),
}


def records(name, seed=90210, count=30):
    """Return a branch's sales as they should come out."""
    draw = random.Random(f"{seed} {name}")
    return [
        {
            "Ticket": f"{name[0].upper()}{draw.randrange(10_000, 99_999)}",
            "Date": f"202{draw.randrange(0, 6)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}",
            "Product": draw.choice(PRODUCTS),
            "Count": draw.randrange(1, 300),
            "Amount": draw.randrange(150, 900_000) / 100,
            "Clerk": draw.choice(CLERKS),
        }
        for _ in range(count)
    ]


def exported(name):
    encoding, delimiter, comma = SYSTEMS[name]
    out = io.StringIO(newline="")
    rows = records(name)
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(rows[0])
    for row in rows:
        amount = f"{row['Amount']:.2f}"
        day = row["Date"]
        if comma:
            amount = f"{row['Amount']:,.2f}".translate(str.maketrans(",.", ".,"))
            day = ".".join(reversed(day.split("-")))
        writer.writerow([*{**row, "Amount": amount, "Date": day}.values()])
    return out.getvalue().encode(encoding)


def main(root):
    folder = Path(root) / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    for name in SYSTEMS:
        (folder / name).write_bytes(exported(name))


if __name__ == "__main__":
    main(sys.argv[1])
