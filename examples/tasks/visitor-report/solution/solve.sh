#!/bin/bash
set -e
cd /app/report
sed -i 's/python2/python3/' build.sh
sed -i -E \
  -e 's/<>/!=/' \
  -e 's/raise BadLine, (.*)/raise BadLine(\1)/' \
  -e 's/except BadLine, error/except BadLine as error/' \
  -e 's/totals.has_key\(town\)/town in totals/' \
  -e 's/print >>sys.stderr, (.*)/print(\1, file=sys.stderr)/' \
  -e 's/^( *)print "(.*)/\1print("\2)/' \
  -e 's/^( *)print$/\1print()/' \
  -e 's/towns = totals.keys\(\)/towns = list(totals)/' \
  -e 's/xrange/range/; s/itervalues/values/' report.py
./build.sh
