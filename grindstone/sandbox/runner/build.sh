#!/usr/bin/env bash
# Makes the runners from runner.c, each with Debian's compiler for its processor:
#   apt-get install gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross   (on x86-64)
#   ./build.sh [PROCESSOR…]      where the binaries go: OUT, else beside the source
# A binary carries the digest of the source it was made from (`runner source`).
set -euo pipefail
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- x86_64 aarch64
digest=$(sha256sum runner.c | cut -d" " -f1)
for processor in "$@"; do
    compiler=$processor-linux-gnu-gcc
    out=${OUT:-.}/runner-$processor
    "$compiler" -DSOURCE="\"$digest\"" -std=gnu17 -static -Os -s -Wall -Wextra -Werror \
        -ffunction-sections -fdata-sections -Wl,--gc-sections -Wl,--build-id=none \
        runner.c -o "$out"
    chmod 755 "$out"
done
