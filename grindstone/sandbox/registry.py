"""Which sandbox providers there are: a new one is a module and a row of this table.

What names a provider anywhere else (settings, forms, command line, `doctor`, the choice
`auto`) is read from here.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias


class ProviderRow(NamedTuple):
    """One provider; modules are named and not imported, so that reading the table is cheap."""

    kind: str
    provider: str  # module:class of a `protocol.Provider`
    probe: str  # module:function without arguments: looks at its tools one by one, itself first


PROVIDERS: tuple[ProviderRow, ...] = (
    ProviderRow(
        "docker",
        "grindstone.sandbox.docker.provider:DockerProvider",
        "grindstone.sandbox.docker.probe:probe",
    ),
    ProviderRow(
        "bubblewrap",
        "grindstone.sandbox.bubblewrap.provider:BubblewrapProvider",
        "grindstone.sandbox.bubblewrap.probe:probe",
    ),
    ProviderRow(
        "kubernetes",
        "grindstone.sandbox.kubernetes.provider:KubernetesProvider",
        "grindstone.sandbox.kubernetes.probe:probe",
    ),
)
"""In the order in which `auto` tries them."""

KINDS = tuple(row.kind for row in PROVIDERS)

AUTO = "auto"

AUTO_HELP = f"{AUTO}: the first that works of {', '.join(KINDS)}."

if TYPE_CHECKING:
    Kind: TypeAlias = str
    Choice: TypeAlias = str
else:  # what settings, forms and flags validate against and list
    Kind = Literal[KINDS]
    Choice = Literal[(AUTO, *KINDS)]
