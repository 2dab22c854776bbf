#!/usr/bin/env bash
# Makes the runners from runner.c, for every processor, with the compiler of the `ziglang`
# package: `python -m pip install ziglang==0.17.0 && ./build.sh python`.
set -euo pipefail
cd "$(dirname "$0")"
for processor in x86_64 aarch64; do
    "${1:-python3}" -m ziglang cc -target $processor-linux-musl -static -Os -s -Wall -Wextra \
        runner.c -o runner-$processor
    chmod 755 runner-$processor
done
