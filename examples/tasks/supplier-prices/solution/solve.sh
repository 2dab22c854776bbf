#!/bin/bash
set -e
mkdir -p /app/out
python3 - <<'EOF'
import csv, json

with open("/app/data/prices.csv", newline="", encoding="cp1252") as handle:
    head, *table = csv.reader(handle, delimiter=";")
rows = []
for cells in table:
    row = dict(zip([name.strip() for name in head], cells))
    row["Menge"] = int(row["Menge"])
    row["Preis"] = float(row["Preis"].replace(".", "").replace(",", "."))
    row["Gültig ab"] = "-".join(reversed(row["Gültig ab"].split(".")))
    rows.append(row)
with open("/app/out/prices.json", "w", encoding="utf-8") as out:
    json.dump(rows, out, ensure_ascii=False, indent=1)
EOF
