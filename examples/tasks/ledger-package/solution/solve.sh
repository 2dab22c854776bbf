#!/bin/bash
set -e
cd /app/ledger
sed -i 's/\r$//' rules.cfg
sed -i 's/python2.7/python3/' build.sh
sed -i -E \
  -e 's/except book.Unreadable, error/except book.Unreadable as error/' \
  -e 's/print >>sys.stderr, (.*)/print(\1, file=sys.stderr)/' \
  -e 's/print (show.*),$/print(\1, end="")/' main.py
sed -i -E \
  -e 's/^import StringIO/import io/; s/StringIO.StringIO/io.StringIO/' \
  -e 's/<>/!=/; s/raise Unreadable, line/raise Unreadable(line)/' \
  -e 's/unicode\(/str(/; s/found.has_key\(account\)/account in found/' ledger/book.py
expand -t 8 ledger/rules.py > /tmp/rules.py && cp /tmp/rules.py ledger/rules.py
sed -i -E \
  -e 's/^import ConfigParser/import configparser/; s/ConfigParser.ConfigParser/configparser.ConfigParser/' \
  -e 's/settings.has_key\((\("names", account\))\)/\1 in settings/' ledger/rules.py
sed -i -E \
  -e 's/^import rules/from ledger import rules/; s/itervalues/values/' \
  -e 's/accounts = totals.keys\(\)/accounts = list(totals)/' ledger/show.py
./build.sh
