#!/bin/bash
set -e
cd /app/kit
sed -i 's/\r$//' build.sh kit.cfg tools/*
sed -i 's/python2/python3/' build.sh tools/check.py
sed -i -E \
  -e 's/print "check %04d" % (.*)/print("check %04d" % \1)/' \
  -e 's/except IOError, problem/except IOError as problem/' \
  -e 's/print >>sys.stderr, (.*)/print(\1, file=sys.stderr)/' tools/check.py
./build.sh
