#!/bin/sh
# Succeeds when tasks can run in a sandbox: a Docker engine answers, or bubblewrap is there.
# As root on a Debian-like system it installs bubblewrap; else it says what is missing.
set -eu
if docker info >/dev/null 2>&1; then exit 0; fi
if command -v bwrap >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "No Docker engine answers: installing bubblewrap" >&2
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        bubblewrap uidmap >/dev/null
    exit 0
fi
echo "Neither a Docker engine nor bubblewrap was found." >&2
echo "Start Docker, or install bubblewrap (Debian: sudo apt-get install bubblewrap uidmap)." >&2
exit 1
