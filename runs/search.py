"""Searching runs on the column index: what doors ask."""

from __future__ import annotations

import uuid

import numpy as np
from django.utils import timezone

from accounts.models import User
from runs.column_index import Index
from runs.column_masks import Context, Parts
from runs.filter_nodes import RunFilter
from runs.run_index import run_index


def parts_of(run_filter: RunFilter, index: Index) -> Parts:
    """The masks of a filter's parts. One query where owners are asked for, else none."""
    owner_ids: dict[str, int] = {}
    if run_filter.owners:
        owners = User.objects.filter(username__in=run_filter.owners)
        owner_ids = dict(owners.values_list("username", "pk"))
    return Parts(index, run_filter, Context(timezone.now(), owner_ids))


def matching_handles(run_filter: RunFilter) -> list[str]:
    """Handles of the living runs that pass, in no order."""
    index = run_index.current()
    slots = np.flatnonzero(parts_of(run_filter, index).passing).tolist()
    return [handle_at(index, slot) for slot in slots]


def handle_at(index: Index, slot: int) -> str:
    high, low = index.heads.handles[slot].tolist()
    return str(uuid.UUID(int=high << 64 | low))
