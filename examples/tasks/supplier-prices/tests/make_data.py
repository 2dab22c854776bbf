"""Writes the price list as the old program did; the same seed gives the same list."""

import csv
import io
import random
import sys
from pathlib import Path

NOUNS = ["Bügel", "Öse", "Hülse", "Schäkel", "Zapfen", "Führung", "Größenring", "Deckel"]
NOTES = ["ab Lager", "Mindestmenge 5 €", 'Farbe "weiß"', "nur; auf Anfrage", "Lieferung\nin zwei Teilen"]


def records(seed=1887, count=45):
    """Return the records as they should come out."""
    draw = random.Random(seed)
    return [
        {
            "Artikel": f"0{draw.randrange(10000, 99999)}",
            "Bezeichnung": f"{draw.choice(NOUNS)} {draw.choice('ABCDE')}",
            "Menge": draw.randrange(1, 9000),
            "Preis": draw.randrange(100, 5_000_000) / 100,
            "Gültig ab": f"20{draw.randrange(10, 25)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}",
            "Hinweis": draw.choice(NOTES),
        }
        for _ in range(count)
    ]


def german(number):
    text = f"{number:,.2f}"
    return text.translate(str.maketrans(",.", ".,"))


def exported(rows):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow([f"{key} " for key in rows[0]])
    for row in rows:
        year, month, day = row["Gültig ab"].split("-")
        cells = {**row, "Preis": german(row["Preis"]), "Gültig ab": f"{day}.{month}.{year}"}
        writer.writerow(cells.values())
    return out.getvalue().encode("cp1252")


def main(root):
    folder = Path(root) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prices.csv").write_bytes(exported(records()))


if __name__ == "__main__":
    main(sys.argv[1])
