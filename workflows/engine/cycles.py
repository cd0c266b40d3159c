"""Order of a directed graph, and the cycles that keep it from having one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_SHOWN = 12
MAX_CYCLES = 10


def sort_topologically(
    nodes: Iterable[str], successors: Mapping[str, Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Return the nodes in an order that follows the edges, and the cycles found.

    A cycle is a path that ends where it began. At most `MAX_CYCLES` are returned; the
    order is meaningful only when there is none. Linear in nodes and edges.
    """
    finished: list[str] = []
    cycles: list[list[str]] = []
    done: set[str] = set()
    for root in nodes:
        if root not in done:
            _visit(root, successors, done, finished, cycles)
    finished.reverse()
    return finished, cycles


def _visit(
    root: str,
    successors: Mapping[str, Sequence[str]],
    done: set[str],
    finished: list[str],
    cycles: list[list[str]],
) -> None:
    path: dict[str, Iterator[str]] = {root: iter(successors.get(root, ()))}
    stack = [root]
    while stack:
        node = stack[-1]
        for following in path[node]:
            if following in path:
                if len(cycles) < MAX_CYCLES:
                    cycles.append([*stack[stack.index(following) :], following])
            elif following not in done:
                path[following] = iter(successors.get(following, ()))
                stack.append(following)
                break
        else:
            stack.pop()
            del path[node]
            done.add(node)
            finished.append(node)


def show_cycle(cycle: Sequence[str]) -> str:
    """Return the cycle as ``a -> b -> a``, shortened in the middle when it is long."""
    if len(cycle) > MAX_SHOWN:
        half = MAX_SHOWN // 2
        cycle = [*cycle[:half], "...", *cycle[-half:]]
    return " -> ".join(cycle)
