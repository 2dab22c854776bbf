#!/bin/bash
set -e
mkdir -p /app/out
python3 - <<'EOF'
import csv, json

with open("/app/data/inventory.csv", newline="", encoding="utf-8") as handle:
    rows = [
        {**row, "quantity": int(row["quantity"]), "price": float(row["price"])}
        for row in csv.DictReader(handle)
    ]
with open("/app/out/inventory.json", "w", encoding="utf-8") as out:
    json.dump(rows, out, ensure_ascii=False, indent=1)
EOF
