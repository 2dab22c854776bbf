"""Things that are one because they share a mark, directly or by others between them."""

from collections.abc import Iterable, Mapping


def joined(marks: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return names in groups; a chain of shared marks leads to every other one of a group.

    Args:
        marks: Of each name. A name without any stands alone.

    Returns:
        Groups in the order of their first names, each in the order given.
    """
    by_mark: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for name, own in marks.items():
        group = [name]
        for other in {id(found): found for mark in own if (found := by_mark.get(mark))}.values():
            group += other
        for member in group:
            groups[member] = group
            by_mark.update(dict.fromkeys(marks[member], group))
    order = {name: index for index, name in enumerate(marks)}
    distinct = {id(group): sorted(group, key=order.__getitem__) for group in groups.values()}
    return sorted(distinct.values(), key=lambda group: order[group[0]])
