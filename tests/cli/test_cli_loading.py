"""What a command loads, and when."""

import subprocess
import sys

import pytest

from grindstone.flows.cli.running import SOON


@pytest.mark.commands
def test_what_is_loaded_while_a_server_starts_is_what_the_flow_alone_does_not_load():
    code = f"import sys; import grindstone.flows.grind; print({{*{SOON!r}}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
