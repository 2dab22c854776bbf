"""A fold that is kept and goes on, also when an item comes late."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", bound=tuple[Any, ...])
State = TypeVar("State")


class OrderedFold(Generic[Item, State]):
    """A fold over items in the order of their first two fields, each pair once.

    Args:
        start: The state before the first item.
        step: Makes the next state of a state and the next item.
        items: What is known already.
    """

    def __init__(
        self, start: State, step: Callable[[State, Item], State], items: Iterable[Item] = ()
    ) -> None:
        self._start, self._step = start, step
        self._items: list[Item] = []
        self.state = start
        for item in items:
            self.add(item)

    def add(self, item: Item) -> None:
        """Take one more item; one that is known already changes nothing."""
        place = bisect_left(self._items, item[:2], key=lambda each: each[:2])
        if place == len(self._items):
            self._items.append(item)
            self.state = self._step(self.state, item)
        elif self._items[place][:2] != item[:2]:
            self._items.insert(place, item)
            self.state = reduce(self._step, self._items, self._start)
