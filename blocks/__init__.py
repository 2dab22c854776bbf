"""What a user configures once and saves in Prefect.

Register the types with `prefect block register -m blocks`; save instances in the UI, and
name them in a flow's `blocks` parameters. Secrets live here and nowhere else: flow
parameters are stored in plain text, blocks are encrypted.
"""

from grindstone.blocks.agent import AgentBlock
from grindstone.blocks.benchmark import BenchmarkBlock
from grindstone.blocks.choice import BlockNames, configure, credentials
from grindstone.blocks.ledger import LedgerBlock
from grindstone.blocks.model import ModelBlock
from grindstone.blocks.sandbox import SandboxBlock
from grindstone.blocks.workspace import WorkspaceBlock

__all__ = [
    "AgentBlock",
    "BenchmarkBlock",
    "BlockNames",
    "LedgerBlock",
    "ModelBlock",
    "SandboxBlock",
    "WorkspaceBlock",
    "configure",
    "credentials",
]
