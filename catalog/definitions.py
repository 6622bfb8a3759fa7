"""Making and changing fields and series: the one home of these writes.

Every door (API, admin, commands) calls these functions, so that they cannot differ. Each is one
transaction; each refuses what would break data that was logged.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.db import IntegrityError, models, transaction

from catalog.errors import Conflict, Illegal, NotFound, TooLarge
from catalog.models import (
    DESCRIPTION_CHARS,
    NAME_CHARS,
    UNIT_CHARS,
    Field,
    Series,
    SeriesField,
)
from catalog.types import DataType, check_text, parse_data_type

FIELDS_PER_SERIES = 256
# Each is two parameters of one statement; databases take 32,766.
NAMES_PER_REQUEST = 10_000

_Named = TypeVar("_Named", Field, Series)


def create_field(
    *, name: object, data_type: object, description: object = "", unit: object = None
) -> Field:
    """Make a field.

    Raises:
        Illegal: a blank or too long name, an unknown type, a text that is not legal.
        Conflict: ``name_taken``, with the existing field's handle.
    """
    values = {
        "name": check_name(name),
        "data_type": parse_data_type(data_type),
        "description": _check_description(description),
        "unit": _check_unit(unit),
    }
    return _create(Field, values)


def update_field(field: Field, changes: Mapping[str, object]) -> Field:
    """Rename or re-describe a field. Keys: ``name``, ``description``, ``unit``.

    Raises:
        Illegal: ``immutable`` for its type, ``unknown_key`` for anything else.
        Conflict: ``name_taken``.
    """
    if "data_type" in changes:
        raise Illegal(
            "immutable",
            f"The type of field {field.name!r} is {field.data_type} and never changes; "
            "create another field.",
            field="data_type",
        )
    checks = {"name": check_name, "description": _check_description, "unit": _check_unit}
    return _update(field, changes, checks)


def delete_field(field: Field) -> None:
    """Delete a field that nothing uses.

    Raises:
        Conflict: ``in_use`` by a series or an attribute.
    """
    users = [str(used.model._meta.verbose_name) for used in _users_of(field) if used.exists()]
    if users:
        raise _in_use(field, f"is used ({', '.join(sorted(users))})", field=field.name)
    _delete(field)


def create_series(*, name: object, fields: object) -> Series:
    """Make a series of existing fields, given by handle or name, in this order.

    Raises:
        Illegal: no field, a doubled field, more than 256, or ``unknown_field`` listing all unknown.
        Conflict: ``name_taken``.
    """
    if not isinstance(fields, Sequence) or isinstance(fields, str):
        raise Illegal("wrong_type", "fields must be a list of names or handles.", field="fields")
    with transaction.atomic():
        return _make_series(check_name(name), resolve_fields(fields))


def update_series(series: Series, changes: Mapping[str, object]) -> Series:
    """Rename a series; its fields never change.

    Raises:
        Illegal: ``immutable`` for its fields, ``unknown_key`` for anything else.
        Conflict: ``name_taken``.
    """
    if "fields" in changes:
        raise Illegal(
            "immutable",
            f"The fields of series {series.name!r} are fixed; create another series.",
            field="fields",
        )
    return _update(series, changes, {"name": check_name})


def delete_series(series: Series) -> None:
    """Delete a series without rows.

    Raises:
        Conflict: ``in_use``, with the number of rows (of deleted runs too, until these are purged).
    """
    rows, used = 0, False
    for users in _users_of(series):
        used = used or users.exists()
        if any(column.name == "rows" for column in users.model._meta.get_fields()):
            rows += users.aggregate(total=models.Sum("rows"))["total"] or 0
    if used:
        words = f"holds {rows:,} rows (deleted runs count until they are purged)"
        raise _in_use(series, words, series=series.name, rows=rows)
    _delete(series)


def ensure_field(
    *, name: object, data_type: object, description: object = "", unit: object = None
) -> Field:
    """The field of this name; made if it is missing. Safe to call from many scripts at once.

    Raises:
        Conflict: ``differs`` when it exists with another type.
    """
    wanted = parse_data_type(data_type)
    checked = check_name(name)
    field = Field.objects.filter(name=checked).first()
    if field is None:
        try:
            return create_field(name=checked, data_type=wanted, description=description, unit=unit)
        except Conflict:  # another script made it meanwhile
            field = Field.objects.get(name=checked)
    return _of_type(field, wanted)


@transaction.atomic
def ensure_series(*, name: object, fields: object) -> Series:
    """The series of this name with exactly these fields; makes whatever is missing.

    Args:
        fields: names or handles of existing fields, or ``{name: data_type}``, which creates them.

    Raises:
        Conflict: ``differs`` when the series has other fields, or a field another type.
    """
    checked = check_name(name)
    if isinstance(fields, Mapping):
        members = _ensure_fields(fields)
    elif isinstance(fields, Sequence) and not isinstance(fields, str):
        members = resolve_fields(fields)
    else:
        raise Illegal(
            "wrong_type",
            "fields must be a list of names or handles, or an object of name: data_type.",
            field="fields",
        )
    series = Series.objects.filter(name=checked).first()
    if series is None:
        try:
            return _make_series(checked, members)
        except Conflict:  # another script made it meanwhile
            series = Series.objects.get(name=checked)
    return _with_fields(series, members)


def _ensure_fields(wanted: Mapping[object, object]) -> list[Field]:
    """Fields of these names and types. One query where all exist, as at most starts of a script."""
    if len(wanted) > FIELDS_PER_SERIES:
        raise _too_many_fields(len(wanted))
    types = {check_name(name): parse_data_type(data_type) for name, data_type in wanted.items()}
    present = {field.name: field for field in Field.objects.filter(name__in=types)}
    for name in sorted(types):  # in one order everywhere, so that no two scripts deadlock
        if name in present:
            _of_type(present[name], types[name])
        else:
            present[name] = ensure_field(name=name, data_type=types[name])
    return [present[name] for name in types]


def _of_type(field: Field, wanted: DataType) -> Field:
    if field.data_type != wanted:
        raise Conflict(
            "differs",
            f"Field {field.name!r} exists with type {field.data_type}, not {wanted}; "
            "use another name.",
            field=field.name,
        )
    return field


def _with_fields(series: Series, wanted: Sequence[Field]) -> Series:
    present = {member.field for member in series.members.select_related("field")}
    if present != set(wanted):
        names = ", ".join(sorted(field.name for field in present))
        raise Conflict(
            "differs",
            f"Series {series.name!r} exists with the fields {names}; its fields are fixed. "
            "Use these, or another name.",
            series=series.name,
        )
    return series


def resolve_fields(given: Sequence[object]) -> list[Field]:
    """Fields by handle or name, in this order; one query.

    Raises:
        Illegal: ``unknown_field``, listing every one that does not exist.
    """
    return _resolve(Field, given, code="unknown_field", what="field")


def resolve_series(given: Sequence[object]) -> list[Series]:
    """Series by handle or name, in this order; one query."""
    return _resolve(Series, given, code="unknown_series", what="series")


def find(model: type[_Named], handle: str) -> _Named:
    """The field or series with this handle.

    Raises:
        NotFound: none has it.
    """
    found = _by_handle(model, handle)
    if found is None:
        raise _unknown(model, handle)
    return found


def check_name(given: object) -> str:
    """A name: any text of 1 … 200 characters that is not blank."""
    name = check_text(given, what="name", max_bytes=4 * NAME_CHARS)
    if not name.strip():
        raise Illegal("illegal_value", "name must not be blank.", field="name")
    return _check_length(name, "name", NAME_CHARS)


def parse_handle(given: object) -> uuid.UUID | None:
    """A handle in its usual form (8-4-4-4-12 hex digits), or None."""
    if isinstance(given, str) and len(given) == 36:
        try:
            return uuid.UUID(given)
        except ValueError:
            return None
    return None


def _check_description(given: object) -> str:
    text = check_text(given, what="description", max_bytes=4 * DESCRIPTION_CHARS)
    return _check_length(text, "description", DESCRIPTION_CHARS)


def _check_unit(given: object) -> str:
    if given is None:
        return ""
    text = check_text(given, what="unit", max_bytes=4 * UNIT_CHARS)
    return _check_length(text, "unit", UNIT_CHARS)


def _check_length(text: str, what: str, limit: int) -> str:
    if len(text) > limit:
        raise Illegal(
            "too_long",
            f"{what} has {len(text):,} characters; at most {limit:,} are allowed.",
            field=what,
            limit=limit,
        )
    return text


def _create(model: type[_Named], values: dict[str, Any]) -> _Named:
    try:
        with transaction.atomic():
            return model.objects.create(**values)
    except IntegrityError:
        raise _name_taken(model, values["name"]) from None


def _update(
    instance: _Named, changes: Mapping[str, object], checks: Mapping[str, Callable[[object], str]]
) -> _Named:
    """Change these columns alone: what another person changes meanwhile stays."""
    checked = {}
    for key, value in changes.items():
        if key not in checks:
            raise Illegal("unknown_key", f"{key!r} cannot be changed.", field=key)
        checked[key] = checks[key](value)
    model = type(instance)
    try:
        with transaction.atomic():
            if checked and not model.objects.filter(pk=instance.pk).update(**checked):
                raise _unknown(model, str(instance.handle))
    except IntegrityError:
        raise _name_taken(model, checked["name"]) from None
    for key, value in checked.items():
        setattr(instance, key, value)
    return instance


def _users_of(instance: Field | Series) -> Iterator[models.QuerySet[Any]]:
    """What refers to a field or series and so protects it, one query each."""
    for relation in instance._meta.get_fields(include_hidden=True):
        if isinstance(relation, models.ManyToOneRel) and relation.on_delete is models.PROTECT:
            manager = relation.related_model._default_manager
            yield manager.filter(**{relation.field.name: instance})


def _delete(instance: Field | Series) -> None:
    try:
        with transaction.atomic():
            instance.delete()
    except (IntegrityError, models.ProtectedError):  # used since we looked
        raise _in_use(instance, "is used") from None


def _in_use(instance: Field | Series, words: str, **details: object) -> Conflict:
    what = type(instance).__name__
    message = f"{what} {instance.name!r} {words} and cannot be deleted."
    return Conflict("in_use", message, **details)


def _unknown(model: type[Field | Series], handle: str) -> NotFound:
    what = model.__name__.lower()
    return NotFound(f"unknown_{what}", f"There is no {what} with the handle {handle!r}.")


def _name_taken(model: type[_Named], name: str) -> Conflict:
    what = model.__name__.lower()
    existing = model.objects.filter(name=name).values_list("handle", flat=True).first()
    return Conflict(
        "name_taken",
        f"A {what} named {name!r} exists; use it, or another name.",
        field="name",
        existing=str(existing) if existing else None,
    )


def _make_series(name: str, fields: Sequence[Field]) -> Series:
    if not fields:
        raise Illegal("illegal_value", "A series needs at least one field.", field="fields")
    if len(fields) > FIELDS_PER_SERIES:
        raise _too_many_fields(len(fields))
    doubled = {field.name for field in fields if fields.count(field) > 1}
    if doubled:
        raise Illegal(
            "illegal_value", f"Given twice: {', '.join(sorted(doubled))}.", field="fields"
        )
    series = _create(Series, {"name": name})
    SeriesField.objects.bulk_create(SeriesField(series=series, field=field) for field in fields)
    return series


def _too_many_fields(number: int) -> Illegal:
    return Illegal(
        "too_many",
        f"A series has at most {FIELDS_PER_SERIES} fields, not {number}; split it into several.",
        field="fields",
        limit=FIELDS_PER_SERIES,
    )


def _by_handle(model: type[_Named], handle: str) -> _Named | None:
    parsed = parse_handle(handle)
    return model.objects.filter(handle=parsed).first() if parsed else None


def _resolve(model: type[_Named], given: Sequence[object], *, code: str, what: str) -> list[_Named]:
    if len(given) > NAMES_PER_REQUEST:
        raise TooLarge(
            "too_many",
            f"At most {NAMES_PER_REQUEST:,} at once, not {len(given):,}; send several requests.",
            limit=NAMES_PER_REQUEST,
        )
    texts = [check_text(item, what=what, max_bytes=4 * NAME_CHARS) for item in given]
    handles = {text: parsed for text in texts if (parsed := parse_handle(text))}
    wanted = models.Q(name__in=texts) | models.Q(handle__in=handles.values())
    found = list(model.objects.filter(wanted))
    # The handle wins over a name that looks like it: a name can be changed.
    by_key: dict[object, _Named] = {item.name: item for item in found}
    by_key |= {item.handle: item for item in found}
    resolved = [by_key.get(handles.get(text)) or by_key.get(text) for text in texts]
    unknown = [text for text, item in zip(texts, resolved, strict=True) if item is None]
    if unknown:
        shown = ", ".join(map(repr, unknown[:20])) + (" …" if len(unknown) > 20 else "")
        raise Illegal(
            code,
            f"There is no {what} {shown}. "
            f"`streamvis list-{'fields' if what == 'field' else 'series'}` shows what exists.",
            **{what: unknown[0]},
            unknown=unknown,
        )
    return [item for item in resolved if item is not None]
