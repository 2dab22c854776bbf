#!/bin/bash
set -e
mkdir -p /app/out
python3 - <<'EOF'
import csv, json

systems = [
    ("a_harbour.txt", "utf-16", "\t"),
    ("b_station.csv", "utf-8-sig", ";"),
    ("c_market.csv", "cp1252", "|"),
    ("d_airport.csv", "utf-8", ","),
]
sales = []
for name, encoding, delimiter in systems:
    with open(f"/app/exports/{name}", newline="", encoding=encoding) as handle:
        for row in csv.DictReader(handle, delimiter=delimiter):
            if delimiter != ",":
                row["Amount"] = row["Amount"].replace(".", "").replace(",", ".")
                row["Date"] = "-".join(reversed(row["Date"].split(".")))
            sales.append({**row, "Count": int(row["Count"]), "Amount": float(row["Amount"])})
with open("/app/out/sales.json", "w", encoding="utf-8") as out:
    json.dump(sales, out, ensure_ascii=False, indent=1)
EOF
