#!/bin/sh
# Runs some of the tests with other versions of Prefect, each in an environment of its own below
# .compat/, where all other packages are as pinned unless that version needs them otherwise.
#   scripts/compat.sh VERSION…      COMPAT_TESTS names other tests
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
tests=${COMPAT_TESTS:-tests/flows/test_flow_runtime.py tests/flows/test_retry_layers.py
    tests/flows/test_flow_grind.py tests/deploy/test_deploy_own_server.py}
for version in "$@"; do
    here=.compat/$version
    mkdir -p "$here"
    test -x "$here/bin/python" || .venv/bin/python -m venv "$here"
    cp requirements.txt "$here/requirements.txt"
    # python-slugify: Prefect before 3.8.8 takes an older one.
    $uv pip compile --quiet --all-extras --python-version 3.11 --no-header --no-annotate \
        --upgrade-package "prefect==$version" --upgrade-package python-slugify \
        --upgrade-package packaging pyproject.toml --output-file "$here/requirements.txt"
    $uv pip install --quiet --python "$here" --requirement "$here/requirements.txt"
    $uv pip install --quiet --python "$here" --no-deps --requirement requirements-nodeps.txt
    $uv pip install --quiet --python "$here" --no-deps --editable .
    echo "Prefect $version"
    # shellcheck disable=SC2086
    "$here/bin/python" -m pytest -q -p no:cacheprovider $tests
done
