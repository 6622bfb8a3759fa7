"""What changed, told after it is committed. Knows no listener: plotting listens.

A :class:`RunChange` says *that* a run changed, not what: rows and metadata are read from the
database. Changes of one run that were not yet delivered can be merged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction
from django.dispatch import Signal

run_changed = Signal()  # sent with change=RunChange, on the thread that committed


@dataclass
class RunChange:
    """Attributes:
    run: handle.
    generation: the present one.
    rows: rows of each series that changed, by series handle.
    meta: version of tags, attributes, state, deletion; 0 when only rows changed.
    gone: the run is deleted.
    """

    run: str
    generation: int
    rows: dict[str, int] = field(default_factory=dict)
    meta: int = 0
    gone: bool = False

    def merge(self, later: RunChange) -> None:
        """Take up what came after."""
        if later.generation != self.generation:
            self.rows = {}
        self.generation = later.generation
        self.rows.update(later.rows)
        self.meta = max(self.meta, later.meta)
        self.gone = later.gone


def publish(change: RunChange) -> None:
    """Tell listeners once the present transaction has committed; a failing one stops nothing."""
    transaction.on_commit(lambda: run_changed.send_robust(RunChange, change=change))
