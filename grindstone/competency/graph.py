"""How strongly domains depend on one another: a symmetric matrix of weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grindstone.competency.checking import check_names, number
from grindstone.errors import InputError

LARGEST_WEIGHT = 1e9

Pairs = Mapping[tuple[str, str], float]


class DependencyGraph:
    """The weights w_ij of all pairs; made once, it can be used for many scores.

    Attributes:
        names: The domains, in the matrix's order.
        weights: n by n, symmetric, not negative, zero on the diagonal.
    """

    def __init__(
        self,
        names: Sequence[str],
        dependency: "Pairs | NDArray[np.float64] | None" = None,
        *,
        default_weight: float = 1.0,
    ) -> None:
        """Lay the given weights over the default.

        Args:
            names: The domains.
            dependency: The weight per pair, in either order; or the whole matrix.
            default_weight: Of the pairs that are not listed.

        Raises:
            InputError: A weight is negative or not finite, a pair names an unknown domain or
                the same one twice, or its two orders have different weights.
        """
        self.names = check_names(names)
        default = number("default_weight", default_weight, low=0.0, high=LARGEST_WEIGHT)
        if isinstance(dependency, np.ndarray):
            self.weights = _checked_matrix(dependency, self.names)
        else:
            self.weights = _laid({} if dependency is None else dependency, self.names, default)
        self.weights.setflags(write=False)


def _laid(pairs: Pairs, names: tuple[str, ...], default: float) -> NDArray[np.float64]:
    if not isinstance(pairs, Mapping):
        raise InputError("dependency", f"is a {type(pairs).__name__}", "weights by pair of domains")
    weights = np.full((len(names), len(names)), default)
    np.fill_diagonal(weights, 0.0)
    if not pairs:
        return weights
    place = {name: index for index, name in enumerate(names)}
    if not all(type(pair) is tuple for pair in pairs):  # a text of two letters unpacks as well
        raise _unusable_pair(pairs, place)
    try:
        ends = np.array([(place[left], place[right]) for left, right in pairs], dtype=np.intp)
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable_pair(pairs, place) from error
    left, right = ends[:, 0], ends[:, 1]
    if same := np.flatnonzero(left == right).tolist():
        name = names[int(left[same[0]])]
        raise InputError(
            f"dependency[{(name, name)!r}]", "joins a domain to itself", "two different domains"
        )
    values = _values(pairs)
    weights[left, right] = values
    weights[right, left] = values
    # A pair that was listed in both orders holds the one written last.
    clash = np.flatnonzero(weights[left, right] != values).tolist()
    if clash:
        pair = list(pairs)[clash[0]]
        raise InputError(
            f"dependency[{pair!r}]",
            f"is {pairs[pair]:g}, but {pairs[pair[1], pair[0]]:g} the other way round",
            "one weight per pair, for the weights are symmetric",
        )
    return weights


def _values(pairs: Pairs) -> NDArray[np.float64]:
    found = np.array(list(pairs.values()))
    usable = found.dtype.kind in "fiu" and bool(np.all((found >= 0) & (found <= LARGEST_WEIGHT)))
    if not usable:
        for pair, weight in pairs.items():
            number(f"dependency[{pair!r}]", weight, low=0.0, high=LARGEST_WEIGHT)
    return found.astype(np.float64)


def _unusable_pair(pairs: Pairs, place: Mapping[str, int]) -> InputError:
    known = ", ".join(list(place)[:12]) + (", …" if len(place) > 12 else "")
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            return InputError("dependency", f"has the key {pair!r}", "a pair of domains")
        for name in pair:
            if name not in place:
                return InputError(
                    f"dependency[{pair!r}]", f"{name!r} is no domain", f"one of {known}"
                )
    raise AssertionError("every pair is usable")


def _checked_matrix(matrix: NDArray[Any], names: tuple[str, ...]) -> NDArray[np.float64]:
    size = len(names)
    where = "dependency"
    if matrix.shape != (size, size):
        raise InputError(where, f"has the shape {matrix.shape}", f"({size}, {size})")
    if matrix.dtype.kind not in "fiu":
        raise InputError(where, f"holds {matrix.dtype}", "numbers")
    weights = matrix.astype(np.float64)
    if not np.all((weights >= 0) & (weights <= LARGEST_WEIGHT)):
        raise InputError(where, "holds a weight out of range", f"0 to {LARGEST_WEIGHT:g}")
    if np.any(np.diagonal(weights)):
        raise InputError(where, "joins a domain to itself", "zeros on the diagonal")
    if not np.array_equal(weights, weights.T):
        raise InputError(where, "is not symmetric", "one weight per pair")
    return weights
