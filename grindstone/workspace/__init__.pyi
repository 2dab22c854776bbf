from .changes import Change as Change
from .errors import WorkspaceError as WorkspaceError
from .files import WorkspaceFiles as WorkspaceFiles
from .manifest import Manifest as Manifest
from .workspace import EvolutionRef as EvolutionRef
from .workspace import Snapshot as Snapshot
from .workspace import Workspace as Workspace
