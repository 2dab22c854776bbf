#!/bin/bash
set -e
cd /app/parser
for sha in $(git fsck --no-reflogs --lost-found | awk '$2 == "commit" {print $3}'); do
  if [ "$(git log -1 --format=%s "$sha")" = "Handle nested quotes in fields" ]; then
    git branch feature/quotes "$sha"
  fi
done
