"""The score: depth, interaction, deficits and priorities, in the documented formulas.

With a_i in [0, base], weights w_ij ≥ 0 (unlisted pairs weigh 1) and λ = 1:

    V = Σ a_i²                          C = 2 Σ_{i<j} w_ij a_i a_j          U = V + C
    U_max = base² (n + 2 Σ_{i<j} w_ij)  I = U / U_max
    δ_i = base - a_i                    κ_i = a_i Σ_j w_ij a_j              κ̂ = κ / max κ
    P_i = δ_i (1 + λ κ̂_i)

I alone rewards imbalance where weights are below 1: at w = 0.4 and base 10, {10, 0} has
I = 0.36 and {5, 5} has 0.25. Beside it stands the balanced index

    B = ((Σ √r_i + 2 Σ_{i<j} w_ij (r_i r_j)^¼) / (n + 2 Σ_{i<j} w_ij))²,   r_i = a_i / base,

which is the same form taken of fourth roots, and squared. It is concave (it is homogeneous
of degree one and an increasing function of a concave one), never falls when an a_i
rises, and equals r where every r_i is r. So {5, 5} has 0.5 at every weight, and {10, 0}
at most 0.25.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grindstone.competency.graph import DependencyGraph

Vector = NDArray[np.float64]


class Scores(NamedTuple):
    """The formulas' values; arrays are in the order of the graph's names."""

    vertical: float
    crosswise: float
    integrated: float
    maximum: float
    mastery: float  # I
    balanced_index: float
    deficits: Vector
    centrality: Vector  # κ̂, from 0 to 1
    priority: Vector


def score(
    competency: Vector, graph: DependencyGraph, *, base: float, centrality_weight: float = 1.0
) -> Scores:
    """Return the scores of one agent.

    Args:
        competency: a_i in [0, base], in the order of `graph.names`.
        graph: The weights.
        base: The scale's upper end.
        centrality_weight: λ.
    """
    roots = np.sqrt(np.sqrt(competency / base))
    # One pass over the matrix serves both indices.
    pull, roots_pull = (graph.weights @ np.stack([competency, roots], axis=1)).T
    contributions = competency * pull
    vertical = float(competency @ competency)
    crosswise = float(contributions.sum())
    integrated = vertical + crosswise
    room = len(graph.names) + graph.total
    maximum = base * base * room
    largest = float(contributions.max())
    centrality = contributions / largest if largest > 0 else np.zeros_like(competency)
    deficits = base - competency
    balanced = float(roots @ roots + roots @ roots_pull) / room
    return Scores(
        vertical=vertical,
        crosswise=crosswise,
        integrated=integrated,
        maximum=maximum,
        # Rounding may carry full mastery a hair above 1.
        mastery=min(1.0, integrated / maximum),
        balanced_index=min(1.0, balanced * balanced),
        deficits=deficits,
        centrality=centrality,
        priority=deficits * (1.0 + centrality_weight * centrality),
    )
