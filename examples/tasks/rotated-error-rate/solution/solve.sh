#!/bin/bash
set -e
mkdir -p /app/out
cat > /tmp/count.py <<'EOF'
import collections, datetime, json, sys

hours = collections.Counter()
for line in sys.stdin:
    stamp, level, _ = line.split(" ", 2)
    if level == "ERROR":
        at = datetime.datetime.fromisoformat(stamp).astimezone(datetime.timezone.utc)
        hours[at.strftime("%Y-%m-%dT%H")] += 1
json.dump(hours, open("/app/out/errors.json", "w"))
EOF
zcat -f /app/logs/* | python3 /tmp/count.py
