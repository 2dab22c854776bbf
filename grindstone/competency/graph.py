"""How strongly domains depend on one another: a symmetric matrix of weights."""

from collections.abc import Mapping, Sequence
from itertools import chain
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
        total: Their sum, every pair counted twice.
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
        self.total = float(self.weights.sum())


def _laid(pairs: Pairs, names: tuple[str, ...], default: float) -> NDArray[np.float64]:
    if not isinstance(pairs, Mapping):
        raise InputError("dependency", f"is a {type(pairs).__name__}", "weights by pair of domains")
    weights = np.full((len(names), len(names)), default)
    np.fill_diagonal(weights, 0.0)
    if not pairs:
        return weights
    place = {name: index for index, name in enumerate(names)}
    # Half a million pairs make a dense graph: no loop of ours runs over them one by one.
    if set(map(type, pairs)) != {tuple} or set(map(len, pairs)) != {2}:
        raise _unusable_pair(pairs, place)
    try:
        flat = map(place.__getitem__, chain.from_iterable(pairs))
        ends = np.fromiter(flat, dtype=np.intp, count=2 * len(pairs)).reshape(-1, 2)
    except (KeyError, TypeError) as error:
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
    if set(map(type, pairs.values())) <= {float, int}:
        found = np.fromiter(pairs.values(), dtype=np.float64, count=len(pairs))
        if np.all((found >= 0) & (found <= LARGEST_WEIGHT)):
            return found
    checked = [
        number(f"dependency[{pair!r}]", weight, low=0.0, high=LARGEST_WEIGHT)
        for pair, weight in pairs.items()
    ]
    return np.array(checked)


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
