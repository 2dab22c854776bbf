#!/bin/bash
set -e
cd /app/shop
for sha in $(git fsck --no-reflogs --lost-found | awk '$2 == "commit" {print $3}'); do
  case "$(git log -1 --format=%s "$sha")" in
    *"price table, half done") git branch salvage "$sha" ;;
  esac
done
