#!/bin/bash
set -e
mkdir -p /app/out
cat > /tmp/merge.py <<'EOF'
import datetime, sys

utc = datetime.timezone.utc
events = set()
for line in sys.stdin:
    stamp, rest = line.rstrip("\n").split(" ", 1)
    if stamp.isdigit():
        at = datetime.datetime.fromtimestamp(int(stamp), utc)
    else:
        at = datetime.datetime.fromisoformat(stamp).astimezone(utc)
    events.add((at.strftime("%Y-%m-%dT%H:%M:%SZ"), rest))
with open("/app/out/timeline.log", "w") as out:
    out.writelines(f"{at} {rest}\n" for at, rest in sorted(events))
EOF
zcat -f /app/logs/* | python3 /tmp/merge.py
