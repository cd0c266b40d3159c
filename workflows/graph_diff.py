"""What differs between two stored graphs.

Compared is what a run could notice: types, properties, dynamic properties and outputs
of nodes, and what edges connect. Where an editor draws them is left out, and an edge
that only got another id is the same edge.
"""

from collections import Counter
from typing import Any

import msgspec

from workflows.documents import Json

FIELDS = ("type", "parent_id", "sync_mode", "dynamic_outputs")
ENDS = ("source", "sourceHandle", "target", "targetHandle", "edge_type")

_encoder = msgspec.json.Encoder(order="sorted")


def diff_graphs(old: Json, new: Json) -> Json:
    """Return what was added, removed and changed from ``old`` to ``new``.

    A changed node tells each property as ``[old, new]``, None for one that is not
    there, and under ``fields`` what else of it changed. Both graphs are normalised.
    """
    before = {node["id"]: node for node in old["nodes"]}
    after = {node["id"]: node for node in new["nodes"]}
    shared = [(before[key], after[key]) for key in before if key in after]
    return {
        "added_nodes": [after[key] for key in after if key not in before],
        "removed_nodes": [before[key] for key in before if key not in after],
        "changed_nodes": [
            change for pair in shared if (change := _changed_node(*pair))
        ],
        "added_edges": _edges_beyond(old["edges"], new["edges"]),
        "removed_edges": _edges_beyond(new["edges"], old["edges"]),
    }


def _changed_node(old: Json, new: Json) -> Json | None:
    properties = _changes(_properties(old), _properties(new))
    fields = _changes(
        {name: old[name] for name in FIELDS}, {name: new[name] for name in FIELDS}
    )
    if not properties and not fields:
        return None
    return {"id": old["id"], "properties": properties, "fields": fields}


def _properties(node: Json) -> Json:
    return {**node["data"], **node["dynamic_properties"]}


def _changes(old: Json, new: Json) -> dict[str, list[Any]]:
    names = dict.fromkeys((*old, *new))
    return {
        name: [old.get(name), new.get(name)]
        for name in names
        if not _is_same(old.get(name), new.get(name))
    }


def _is_same(old: Any, new: Any) -> bool:
    """Compare as JSON does: to Python, true is 1."""
    return old == new and _encoder.encode(old) == _encoder.encode(new)


def _edges_beyond(known: list[Json], edges: list[Json]) -> list[Json]:
    """Return the edges that connect what those in ``known`` do not."""
    left = Counter(map(_ends, known))
    beyond = []
    for edge in edges:
        ends = _ends(edge)
        if left[ends]:
            left[ends] -= 1
        else:
            beyond.append(edge)
    return beyond


def _ends(edge: Json) -> tuple[str, ...]:
    return tuple(edge[name] for name in ENDS)
