from .changes import Change as Change
from .errors import WorkspaceError as WorkspaceError
from .files import WorkspaceFiles as WorkspaceFiles
from .history import EvolutionRef as EvolutionRef
from .manifest import Manifest as Manifest
from .manifest import read_manifest as read_manifest
from .workspace import Snapshot as Snapshot
from .workspace import Workspace as Workspace
