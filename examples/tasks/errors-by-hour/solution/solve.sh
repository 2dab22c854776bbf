#!/bin/bash
set -e
mkdir -p /app/out
python3 - <<'EOF'
import collections, json

with open("/app/logs/service.log") as log:
    errors = [line[:13] for line in log if line.split()[1] == "ERROR"]
with open("/app/out/errors.json", "w") as out:
    json.dump(collections.Counter(errors), out)
EOF
