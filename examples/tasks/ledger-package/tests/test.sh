#!/bin/bash
# Grades what the agent left behind; writes the reward and one line per check.
mkdir -p /logs/verifier
python3 -I -c 'import sys; sys.path.insert(0, "/tests"); import checks; checks.run()'
status=$?
[ -s /logs/verifier/reward.txt ] || echo 0 > /logs/verifier/reward.txt
exit $status
