"""What the groups of `Client`'s calls have in common: the connections, lists, and looking up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode
from uuid import UUID

from .connections import Connections
from .described import Body
from .errors import NotFound
from .frames import Frame, read_frames
from .transport import results

Filter: TypeAlias = Mapping[str, Any] | str | UUID | Iterable[str | UUID] | None


class Calls:
    _transport: Connections

    def _list(self, path: str) -> list[dict[str, Any]]:
        """All entries of a list, page by page."""
        return list(results(self._transport, "GET", path))

    def _frames(self, question: dict[str, Any], path: str = "data/") -> Iterator[Frame]:
        """The frames of one answer, each good until the next one is taken."""
        with self._transport.stream(path, question) as response:
            yield from read_frames(Body(response).read)

    def _find(self, kind: str, key: str) -> dict[str, Any]:
        """The field or series (`kind`: fields, series) with this handle or name.

        Raises NotFound, naming the closest.
        """
        if is_handle(key):
            try:
                return self._transport.call("GET", f"{kind}/{quote(key)}/")
            except NotFound:
                pass  # a name may look like a handle
        named = self._list(f"{kind}/?{urlencode({'name': key})}")
        if named:
            return named[0]
        what = "field" if kind == "fields" else kind
        raise unknown(what, key, [each["name"] for each in self._list(f"{kind}/")])


def unknown(what: str, key: str, names: Iterable[str]) -> NotFound:
    """The error for a field or series that does not exist, with the closest ones that do."""
    close = get_close_matches(key, list(names), n=3)
    lists = "list-fields" if what == "field" else f"list-{what}"
    hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"See streamvis {lists}."
    message = f"there is no {what} {key!r}"
    return NotFound(404, {"code": f"unknown_{what}", "message": message, "hint": hint})


def is_handle(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def as_filter(filter: Filter) -> dict[str, Any] | str | None:
    """The run filter as the server takes it; a handle or handles stand for themselves."""
    if filter is None:
        return None
    if isinstance(filter, Mapping):
        return dict(filter)
    if isinstance(filter, str) and not is_handle(filter):
        return filter  # the text form, which the server reads
    handles = [filter] if isinstance(filter, str | UUID) else list(filter)
    return {"handles": [str(handle) for handle in handles]}


def run_path(handle: str | UUID, rest: str = "") -> str:
    return f"runs/{quote(str(handle), safe='')}/{rest}"
