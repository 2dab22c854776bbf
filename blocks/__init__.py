"""What a user configures once and saves in Prefect.

Register the types with `prefect block register -m blocks`; save instances in the UI, and
name them in a flow's `blocks` parameters. Secrets live here and nowhere else: flow
parameters are stored in plain text, blocks are encrypted.
"""

from blocks.benchmark import BenchmarkBlock
from blocks.choice import BlockNames, configure, credentials
from blocks.ledger import LedgerBlock
from blocks.model import ModelBlock
from blocks.sandbox import SandboxBlock
from blocks.workspace import WorkspaceBlock

__all__ = [
    "BenchmarkBlock",
    "BlockNames",
    "LedgerBlock",
    "ModelBlock",
    "SandboxBlock",
    "WorkspaceBlock",
    "configure",
    "credentials",
]
