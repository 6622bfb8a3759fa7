"""Which field of a series a request means."""

from __future__ import annotations

from collections.abc import Collection

from catalog.errors import Illegal
from catalog.snapshot import SeriesInfo
from catalog.types import DataType, check_text

NUMERIC: tuple[DataType, ...] = ("int", "float")


def find_position(
    series: SeriesInfo, given: object, *, what: str, types: Collection[DataType] | None = None
) -> int:
    """Where in the series the field of this handle or name stands.

    Args:
        what: the request's key that names it.
        types: the field's legal types; None: any.

    Raises:
        Illegal: `unknown_field`; `wrong_type`, naming the key.
    """
    key = check_text(given, what=what, max_bytes=1_000)
    position = series.positions.get(key)
    if position is None:
        names = ", ".join(field.name for field in series.fields)
        raise Illegal(
            "unknown_field",
            f"Series {series.name!r} has no field {key!r}; it has {names}.",
            field=key,
            series=series.name,
        )
    data_type = series.fields[position].data_type
    if types is not None and data_type not in types:
        raise Illegal(
            "wrong_type",
            f"{what} must be a field of type {' or '.join(types)}; {key!r} is {data_type}.",
            field=what,
            series=series.name,
        )
    return position
