"""Run filters that people keep under a name, for themselves or for all."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from accounts.models import User
from catalog.definitions import check_name, parse_handle
from catalog.errors import Conflict, Illegal, NotFound, TooLarge
from runs.filters import dump_filter, parse_filter
from runs.models import SavedSearch

SEARCHES_PER_PERSON = 1_000


def searches_for(person: User) -> QuerySet[SavedSearch]:
    """Their own and the shared ones, by name."""
    visible = SavedSearch.objects.filter(Q(owner=person) | Q(shared=True))
    return visible.select_related("owner").order_by("name", "handle")


def find_search(person: User, handle: str) -> SavedSearch:
    """
    Raises:
        NotFound: `unknown_search`, also for one that is another's and not shared.
    """
    parsed = parse_handle(handle)
    found = searches_for(person).filter(handle=parsed).first() if parsed else None
    if found is None:
        raise NotFound("unknown_search", f"There is no saved search with the handle {handle!r}.")
    return found


def save_search(person: User, *, name: object, filter: object, shared: object) -> SavedSearch:
    """Keep a filter, given as JSON or text, under a name.

    Raises:
        Illegal, Malformed: the name or the filter is not legal.
        Conflict: `name_taken`; TooLarge: `too_many`.
    """
    values = _checked(person, {"name": name, "filter": filter, "shared": shared})
    if SavedSearch.objects.filter(owner=person).count() >= SEARCHES_PER_PERSON:
        raise TooLarge(
            "too_many",
            f"One person keeps at most {SEARCHES_PER_PERSON:,} searches; delete some.",
            limit=SEARCHES_PER_PERSON,
        )
    try:
        with transaction.atomic():
            return SavedSearch.objects.create(owner=person, **values)
    except IntegrityError:
        raise _name_taken(values["name"]) from None


def change_search(person: User, search: SavedSearch, changes: Mapping[str, object]) -> SavedSearch:
    """Change its name, filter, or whether it is shared.

    Raises:
        PermissionDenied: it is another's.
    """
    _check_owner(person, search)
    values = _checked(person, changes)
    try:
        with transaction.atomic():
            SavedSearch.objects.filter(pk=search.pk).update(**values)
    except IntegrityError:
        raise _name_taken(values["name"]) from None
    search.refresh_from_db()
    return search


def delete_search(person: User, search: SavedSearch) -> None:
    """
    Raises:
        PermissionDenied: it is another's.
    """
    _check_owner(person, search)
    search.delete()


def _check_owner(person: User, search: SavedSearch) -> None:
    if search.owner_id != person.pk:
        raise PermissionDenied("This search is another person's; save one of your own.")


def _checked(person: User, given: Mapping[str, object]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in given.items():
        if key == "name":
            values[key] = check_name(value).strip()
        elif key == "filter":
            values[key] = dump_filter(parse_filter(value, user_name=person.get_username()))
        elif isinstance(value, bool):
            values[key] = value
        else:
            raise Illegal("wrong_type", f"{key} must be true or false.", field=key)
    return values


def _name_taken(name: object) -> Conflict:
    return Conflict("name_taken", f"You have a search {name!r} already.", field="name")
