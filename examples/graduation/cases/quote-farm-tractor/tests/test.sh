#!/bin/bash
mkdir -p /logs/verifier
if python3 - <<'PYTHON'
import json
import sys

quote = json.load(open("/root/quote.json"))
wanted = {"subtotal": 48000.0, "tax_rate": 0.0, "tax": 0.0, "total": 48000.0}
wrong = {name: quote.get(name) for name, value in wanted.items() if quote.get(name) != value}
print("wrong:", wrong)
sys.exit(bool(wrong))
PYTHON
then echo 1 > /logs/verifier/reward.txt; else echo 0 > /logs/verifier/reward.txt; fi
