"""`Client`'s calls about runs: finding, opening, deleting, tagging, describing."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

from .attributes import attribute_values, checked_tags, from_json
from .calls import Calls, Filter, as_filter, run_path
from .catalogue import Catalogue
from .columns import Run
from .described import by_handle, run_of
from .transport import results


class RunCalls(Calls):
    def runs(self, filter: Filter = None) -> list[Run]:
        """All runs that pass, ordered by (started_at, handle)."""
        names = by_handle(self._list("fields/"))
        found = results(self._transport, "POST", "runs/search/", {"filter": as_filter(filter)})
        return [run_of(entry, names) for entry in found]

    def run(self, handle: str) -> Run:
        """One run. Raises NotFound."""
        names = by_handle(self._list("fields/"))
        return run_of(self._transport.call("GET", run_path(handle)), names)

    def create_run(self) -> str:
        """Make a run without rows; its handle."""
        return str(self._open(uuid4(), replace=True)["run"])

    def replace_run(self, handle: str | UUID) -> dict[str, Any]:
        """Empty a run and begin it anew, or make it with this handle.

        Rows, tags and attributes go, and older writers are refused. Answers {"run", "generation",
        "created", "started_at"}.
        """
        return self._open(handle, replace=True)

    def _open(self, handle: str | UUID, *, replace: bool) -> dict[str, Any]:
        body = {"replace": replace, "nonce": secrets.token_hex(16)}
        return self._transport.call("POST", run_path(handle, "open"), body)

    def delete_run(self, handle: str) -> dict[str, Any]:
        """Hide and fence a run; answers {"deleted": 0 or 1, "rows": n}. Raises NotFound."""
        return self._transport.call("DELETE", run_path(handle))

    def restore_run(self, handle: str) -> dict[str, Any]:
        """Undo a deletion. Raises Conflict when the run is purged."""
        return self._transport.call("POST", run_path(handle, "restore"), {})

    def add_run_tags(self, handle: str, *tags: str) -> int:
        """Tag a run; answers how many tags are new to it."""
        body = {"tags": checked_tags(tags)}
        return int(self._transport.call("POST", run_path(handle, "tags"), body)["added"])

    def delete_run_tags(self, handle: str, *tags: str) -> int:
        """Take tags off a run; answers how many it had."""
        body = {"tags": checked_tags(tags)}
        return int(self._transport.call("DELETE", run_path(handle, "tags"), body)["removed"])

    def tag_runs(
        self,
        filter: Filter,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Tag, or untag, all runs that pass, at most 10,000; with `dry_run` only count.

        Answers {"runs": looked at, "added", "removed", "refused": [{"run", "message"}]}: a run
        changes whole or is refused (it would have too many tags).
        """
        body: dict[str, Any] = {"filter": as_filter(filter), "dry_run": dry_run}
        body |= {"add": checked_tags(add), "remove": checked_tags(remove)}
        return self._transport.call("POST", "runs/tags/", body)

    def set_run_attributes(self, handle: str, /, **values: Any) -> dict[str, Any]:
        """Give a run one value for each named field, all or none. Raises WriteError, Illegal."""
        catalogue = Catalogue().updated(self._list("fields/"), [])
        body = {"values": attribute_values(values, catalogue)}
        return self._transport.call("POST", run_path(handle, "attributes"), body)

    def delete_run_attribute(self, handle: str, field: str) -> int:
        """Take an attribute off a run; answers 0 when it had none. Raises NotFound."""
        path = run_path(handle, f"attributes/{self._find('fields', field)['handle']}")
        return int(self._transport.call("DELETE", path)["deleted"])

    def tags(self) -> list[tuple[str, int]]:
        """All tags that a run bears, by name, with the number of runs."""
        return [(str(each["name"]), int(each["runs"])) for each in self._list("tags/")]

    def run_starts(self) -> list[tuple[datetime, int]]:
        """When runs began, the earliest first, with the number of runs that began then."""
        return [
            (datetime.fromisoformat(each["started_at"]), int(each["runs"]))
            for each in self._list("starts/")
        ]

    def attribute_fields(self) -> list[dict[str, Any]]:
        """Fields that a run has as an attribute: {"field", "runs", "values": different ones}."""
        return self._list("attributes/")

    def attribute_values(self, field: str) -> list[tuple[Any, int]]:
        """The different values of an attribute, by value, with the number of runs.

        Raises NotFound.
        """
        found = self._find("fields", field)
        path = f"attributes/{quote(found['handle'])}/"
        return [
            (from_json(each["value"], found["data_type"]), int(each["runs"]))
            for each in self._list(path)
        ]

    def common(self, filter: Filter = None) -> dict[str, Any]:
        """What the runs that pass have in common, the most common first.

        {"runs": N, "series": [{"series", "runs": n}], "attributes": [{"field", "runs": n}]}: of the
        N runs, n have rows in the series, or a value of the field.
        """
        return self._transport.call("POST", "runs/common/", {"filter": as_filter(filter)})
