"""What the logger knows of fields and series: what was declared, and what the server has.

A snapshot is replaced, never changed, so that writing threads may look things up while the
flush thread brings a newer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from .errors import WriteError
from .frames import DataType

ALIASES = {"string": "text", "str": "text"}
DATA_TYPES = ("int", "float", "text", "bool")


def data_type_of(text: str) -> DataType:
    """The type's own name; `string` and `str` mean text."""
    name = ALIASES.get(text, text)
    if name not in DATA_TYPES:
        raise WriteError(f"{text!r} is no data type: take one of {', '.join(DATA_TYPES)}")
    return cast("DataType", name)


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """A series as `write` sees it.

    `types` maps field name to type, None where it is not known yet. `handles` is None until the
    server has told them; nothing can be sent before.
    """

    name: str
    types: dict[str, DataType | None]
    handle: str | None = None
    handles: dict[str, str] | None = None
    recalled: bool = False  # from the cache: good to check by, not to send by

    @property
    def typed(self) -> bool:
        return all(self.types.values())

    def fits(self, other: SeriesSpec) -> bool:
        """Has `other` the same fields, and the same types where they are known here?"""
        return self.types.keys() == other.types.keys() and all(
            kind in (None, other.types[name]) for name, kind in self.types.items()
        )


def spec_from_server(entry: Mapping[str, Any]) -> SeriesSpec:
    fields = entry["fields"]
    return SeriesSpec(
        str(entry["name"]),
        {str(each["name"]): data_type_of(each["data_type"]) for each in fields},
        str(entry["handle"]),
        {str(each["name"]): str(each["handle"]) for each in fields},
    )


@dataclass(frozen=True, slots=True)
class Catalogue:
    fields: dict[str, DataType] = field(default_factory=dict)
    series: dict[str, SeriesSpec] = field(default_factory=dict)
    from_server: bool = False
    field_handles: dict[str, str] = field(default_factory=dict)

    def with_field(self, name: str, data_type: DataType) -> Catalogue:
        return replace(self, fields={**self.fields, name: data_type})

    def with_series(self, spec: SeriesSpec) -> Catalogue:
        known = {name: kind for name, kind in spec.types.items() if kind is not None}
        series = {**self.series, spec.name: spec}
        return replace(self, series=series, fields={**self.fields, **known})

    def updated(self, fields: Iterable[Any], series: Iterable[Any]) -> Catalogue:
        """With everything the server listed; what it does not have stays as declared."""
        fields = list(fields)
        types = {str(each["name"]): data_type_of(each["data_type"]) for each in fields}
        handles = {str(each["name"]): str(each["handle"]) for each in fields}
        specs = dict(self.series)
        for spec in map(spec_from_server, series):
            declared = specs.get(spec.name)
            # A declaration that the server contradicts stays: `write` must not begin to raise in
            # the middle of a program. Its rows are set aside, and that is said.
            if declared is None or declared.fits(spec):
                specs[spec.name] = spec
        return Catalogue({**self.fields, **types}, specs, True, handles)

    def recalled(self, fields: Iterable[Any], series: Iterable[Any]) -> Catalogue:
        """With what the server had when it was last seen, where nothing else is known.

        The server may have been set up anew since, so nothing is sent by these handles.
        """
        if self.from_server:
            return self
        types = {str(each["name"]): data_type_of(each["data_type"]) for each in fields}
        told = map(spec_from_server, series)
        specs = {spec.name: replace(spec, recalled=True) for spec in told}
        return replace(self, fields={**types, **self.fields}, series={**specs, **self.series})

    def declare(self, name: str, fields: Mapping[str, str] | Iterable[str]) -> SeriesSpec:
        """The spec that `ensure_series(name, fields)` asks for."""
        if isinstance(fields, str):
            raise WriteError(f"series {name!r}: fields is a text; pass a list or a dict")
        if isinstance(fields, Mapping):
            types = {key: data_type_of(kind) for key, kind in fields.items()}
            spec = SeriesSpec(name, dict(types))
        else:
            names = list(fields)
            spec = SeriesSpec(name, {key: self.fields.get(key) for key in names})
            if len(spec.types) != len(names):
                raise WriteError(f"series {name!r}: a field stands twice; name each once")
        if not spec.types:
            raise WriteError(f"series {name!r}: a series has at least one field")
        return self._checked(spec)

    def _checked(self, spec: SeriesSpec) -> SeriesSpec:
        """`spec`, unless what is known already contradicts it."""
        for key, kind in spec.types.items():
            known = self.fields.get(key)
            if kind and known and kind != known:
                raise WriteError(
                    f"field {key!r} is {known}, not {kind}: use its type or a new name"
                )
        old = self.series.get(spec.name)
        if old is not None and set(old.types) != set(spec.types):
            have = ", ".join(sorted(old.types))
            raise WriteError(
                f"series {spec.name!r} has the fields {have}: use those or a new series name"
            )
        return spec if old is None or old.handle is None else old
