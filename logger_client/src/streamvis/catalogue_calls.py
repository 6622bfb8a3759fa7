"""`Client`'s calls about fields and series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .calls import Calls
from .catalogue import data_type_of


class CatalogueCalls(Calls):
    """Fields and series; `field` and `series` arguments are names or handles."""

    def fields(self) -> list[dict[str, Any]]:
        """All fields: dicts with handle, name, data_type, description, unit, created_at."""
        return self._list("fields/")

    def series(self) -> list[dict[str, Any]]:
        """All series: dicts with handle, name, fields (a list of field), created_at."""
        return self._list("series/")

    def create_field(
        self, name: str, data_type: str, description: str = "", unit: str | None = None
    ) -> dict[str, Any]:
        """Make a field. Raises Conflict when the name is taken."""
        return self._transport.call("POST", "fields/", _field(name, data_type, description, unit))

    def ensure_field(
        self, name: str, data_type: str, description: str = "", unit: str | None = None
    ) -> dict[str, Any]:
        """Make a field unless it is there. Raises Conflict when it has another type."""
        body = _field(name, data_type, description, unit)
        return self._transport.call("POST", "fields/ensure", body)

    def rename_field(self, field: str, name: str) -> dict[str, Any]:
        """Give a field another name; what was logged stays. Raises NotFound, Conflict."""
        return self._change("fields", field, {"name": name})

    def describe_field(
        self, field: str, description: str | None = None, unit: str | None = None
    ) -> dict[str, Any]:
        """Change a field's description or unit; None leaves it, an empty text removes it."""
        changes = {"description": description, "unit": unit}
        return self._change("fields", field, {k: v for k, v in changes.items() if v is not None})

    def delete_field(self, field: str) -> None:
        """Delete a field. Raises Conflict while a series or an attribute uses it."""
        self._transport.call("DELETE", f"fields/{self._find('fields', field)['handle']}/")

    def create_series(self, name: str, fields: Iterable[str]) -> dict[str, Any]:
        """Make a series of existing fields (names or handles). Raises Conflict, Illegal."""
        return self._transport.call("POST", "series/", {"name": name, "fields": list(fields)})

    def ensure_series(self, name: str, fields: Mapping[str, str] | Iterable[str]) -> dict[str, Any]:
        """Make a series unless it is there; `{name: type}` makes its fields, too.

        Raises Conflict when it has other fields, or a field another type.
        """
        asked: Any = list(fields)
        if isinstance(fields, Mapping):
            asked = {key: data_type_of(kind) for key, kind in fields.items()}
        return self._transport.call("POST", "series/ensure", {"name": name, "fields": asked})

    def rename_series(self, series: str, name: str) -> dict[str, Any]:
        """Give a series another name; what was logged stays. Raises NotFound, Conflict."""
        return self._change("series", series, {"name": name})

    def delete_empty_series(self, series: str) -> None:
        """Delete a series without rows. Raises Conflict while it has some, NotFound."""
        self._transport.call("DELETE", f"series/{self._find('series', series)['handle']}/")

    def _change(self, kind: str, key: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        handle = self._find(kind, key)["handle"]
        return self._transport.call("PATCH", f"{kind}/{handle}/", dict(changes))


def _field(name: str, data_type: str, description: str, unit: str | None) -> dict[str, Any]:
    kind = data_type_of(data_type)
    return {"name": name, "data_type": kind, "description": description, "unit": unit}
