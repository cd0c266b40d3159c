"""Where a workflow document speaks of stored files, and how to speak of others.

A file is named by the id under ``asset_id`` or ``thumbnail``, by an ``asset://`` URI,
or by a link to ``/storage/assets/``; the last two also inside longer texts such as the
HTML of an app. Documents may be nested as deeply as JSON: nothing here recurses.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from storage.keys import PUBLIC_PREFIX, is_asset_id, key_of_uri

ID_FIELDS = frozenset({"asset_id", "thumbnail"})
SCHEME = "asset://"

_IN_TEXT = re.compile(
    rf"({SCHEME}|{PUBLIC_PREFIX})([A-Za-z0-9_-]{{1,64}}\.[a-z0-9]{{1,10}})", re.ASCII
)

Containers = dict[str, Any] | list[Any]


class References(NamedTuple):
    """The names under which files are spoken of."""

    keys: frozenset[str]
    ids: frozenset[str]


def find_references(document: Containers) -> References:
    """Return every key and id that the document names."""
    keys: set[str] = set()
    ids: set[str] = set()
    for _, place, text in _texts(document):
        key = key_of_uri(text)
        if key is not None:
            keys.add(key)
        elif place in ID_FIELDS and is_asset_id(text):
            ids.add(text)
        else:
            keys.update(match[2] for match in _IN_TEXT.finditer(text))
    return References(frozenset(keys), frozenset(ids))


def replace_references(
    document: Containers, *, keys: Mapping[str, str], ids: Mapping[str, str]
) -> None:
    """Put new keys and ids in the place of old ones; others stay as they are.

    A whole link becomes one to this server, without the old one's signature.
    """

    def in_text(match: re.Match[str]) -> str:
        return match[1] + keys.get(match[2], match[2])

    for container, place, text in _texts(document):
        key = key_of_uri(text)
        if key is not None and key in keys:
            prefix = SCHEME if text.startswith(SCHEME) else PUBLIC_PREFIX
            container[place] = prefix + keys[key]
        elif place in ID_FIELDS and text in ids:
            container[place] = ids[text]
        elif key is None:
            container[place] = _IN_TEXT.sub(in_text, text)


def _texts(document: Containers) -> Iterator[tuple[Any, Any, str]]:
    """Yield every text with its container and its place in there."""
    waiting: list[Containers] = [document]
    while waiting:
        container = waiting.pop()
        places = (
            list(container.items())
            if isinstance(container, dict)
            else list(enumerate(container))
        )
        for place, value in places:
            if isinstance(value, str):
                yield container, place, value
            elif isinstance(value, dict | list):
                waiting.append(value)
