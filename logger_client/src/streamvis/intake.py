"""What `write` does: check, take a snapshot, queue. No I/O, and one short lock.

Rows of plain scalars are the hot path: the call's names and types look up a `Plan`, which says
what is left to check, and the row is appended to the series' open `Block`. Anything else goes
through `_add_slowly`, which also makes the plans.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .arrays import Snapshot, Unfit, kind, problem, snapshot
from .batch import BLOCK_ROWS, Block, Entry, Layout, Write
from .catalogue import Catalogue, SeriesSpec
from .errors import IllegalValue, ShapeMismatch, UnknownSeries, WrongFields
from .frames import DataType
from .held import Held, drop_front, take_front
from .journal import Journal
from .spool import Position
from .values import (
    EXACT,
    INT_MAX,
    INT_MIN,
    SCALAR_RULES,
    kind_of,
    mismatch,
    needs_look,
    plain_scalar,
    problem_of_text,
)

ROW_BYTES = 64  # a tuple in a list, about
VALUE_BYTES = 40  # a reference and a small Python object, about
KNOWN_WORDS = 1 << 12  # texts that need no second look; forgotten all at once when there are more
KNOWN_WORD_CHARS = 1 << 8


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is left to do for rows of scalars with these names and types."""

    series: str
    layout: Layout
    held: Held
    bounds: tuple[tuple[int, int, int], ...]  # place, least, most
    texts: tuple[int, ...]
    cost: int


class Intake:
    def __init__(
        self, catalogue: Catalogue, *, copy: bool, wake_rows: int, wake_bytes: int
    ) -> None:
        self.catalogue = catalogue
        self.journal: Journal | None = None  # puts each row on disk at its call
        self.rows = 0
        self.nbytes = 0
        self._nested: deque[Callable[[], None]] = deque()
        self._keeping = False
        self._copy = copy
        self._wake_rows = self._wake_at_rows = wake_rows
        self._wake_bytes = self._wake_at_bytes = wake_bytes
        self._lock = threading.RLock()  # a signal handler may write, too
        self._changing = threading.Lock()
        self._room = sys.maxsize
        self._held: dict[str, Held] = {}
        self._plans: dict[tuple[Any, ...], Plan] = {}
        self._words: dict[str, str] = {}
        self._guesses: dict[str, dict[str, str]] = {}
        self._gate: Callable[[], None] | None = None

    def types_of(self, series: str) -> Mapping[str, DataType | None]:
        spec = self.catalogue.series.get(series)
        return spec.types if spec else {}

    def add(self, series: str, values: dict[str, Any]) -> bool:
        """Queue one call's rows; True when it is time to flush. Raises WriteError."""
        plan = self._plans.get((series, *values, *map(type, values.values())))
        if plan is None:
            return self._add_slowly(series, values)
        return self._add_row(plan, tuple(values.values()))

    def _add_row(self, plan: Plan, row: tuple[Any, ...]) -> bool:
        for place, least, most in plan.bounds:
            if not least <= row[place] <= most:
                self._refuse_scalar(plan, place, row[place])
        cost = plan.cost
        if plan.texts:
            row, cost = self._interned(plan, row)
        held = plan.held
        with self._lock:
            if self.journal is not None:
                self._keep_in_order(lambda: self._add_kept(plan, row, cost))
                return self._is_time()
            block = held.open
            if block is None or block.layout is not plan.layout or len(block.values) >= BLOCK_ROWS:
                block = held.open = Block(plan.layout, [])
                held.entries.append(block)
            block.values.append(row)
            block.nbytes += cost
            held.total += 1
            self.rows += 1
            self.nbytes += cost
        nbytes = self.nbytes
        return (
            self.rows >= self._wake_at_rows or nbytes >= self._wake_at_bytes or nbytes > self._room
        )

    def _is_time(self) -> bool:
        nbytes = self.nbytes
        return (
            self.rows >= self._wake_at_rows or nbytes >= self._wake_at_bytes or nbytes > self._room
        )

    def _keep_in_order(self, add: Callable[[], None]) -> None:
        """What a signal handler writes in the middle of a write to disk comes after it."""
        self._nested.append(add)
        if self._keeping:
            return
        self._keeping = True
        try:
            while self._nested:
                self._nested.popleft()()
        finally:
            self._keeping = False

    def _add_kept(self, plan: Plan, row: tuple[Any, ...], cost: int) -> None:
        held, kept = plan.held, False
        try:
            if self.journal is not None:
                kept = self.journal.row(plan.series, plan.layout, held.total, row)
        finally:
            block = held.open
            if (
                block is None
                or block.layout is not plan.layout
                or block.kept is not kept
                or len(block.values) >= BLOCK_ROWS
            ):
                block = held.open = Block(plan.layout, [], kept)
                held.entries.append(block)
            block.values.append(row)
            block.nbytes += cost
            held.total += 1
            self.rows += 1
            self.nbytes += cost

    def _interned(self, plan: Plan, row: tuple[Any, ...]) -> tuple[tuple[Any, ...], int]:
        """The row with each text checked, and kept once however often it is logged."""
        values, cost, words = list(row), plan.cost, self._words
        for place in plan.texts:
            word = words.get(row[place])
            if word is None:
                found = problem_of_text(row[place])
                if found:
                    raise IllegalValue(self._at(plan.series, plan.layout.names[place], found))
                word = str(row[place])
                cost += len(word) * 2
                self._remember(word)
            values[place] = word
        return tuple(values), cost

    def _remember(self, word: str) -> None:
        if len(word) <= KNOWN_WORD_CHARS:
            if len(self._words) >= KNOWN_WORDS:
                self._words = {}
            self._words[word] = word

    def _refuse_scalar(self, plan: Plan, place: int, value: Any) -> None:
        name = plan.layout.names[place]
        most = next(most for at, _, most in plan.bounds if at == place)
        rule = SCALAR_RULES["float" if most == EXACT else "int"][int]
        raise IllegalValue(self._at(plan.series, name, rule(int(value)) or "does not fit"))

    def set_gate(self, gate: Callable[[], None] | None) -> None:
        """`gate` is called by the next `write`, before anything else; None opens the way."""
        self._gate = gate
        self._plans = {}

    def change_catalogue(self, change: Callable[[Catalogue], Catalogue]) -> Catalogue:
        """Replace the catalogue by what `change` makes of it, and answer that."""
        with self._changing:
            # In this order: a plan made from the older catalogue lands in the older dict.
            self.catalogue = change(self.catalogue)
            self._plans = {}
            return self.catalogue

    def _add_slowly(self, series: str, values: dict[str, Any]) -> bool:
        if self._gate is not None:
            self._gate()
        plans = self._plans
        spec = self._spec(series, values)
        values = {name: _scalar(value) for name, value in values.items()}
        types = tuple(map(type, values.values()))
        if all(map(kind_of, types)):
            plan = plans[(series, *values, *types)] = self._plan(spec, values, types)
            return self._add_row(plan, tuple(values.values()))
        return self._queue(series, self._write(spec, values))

    def _queue(self, series: str, write: Write | None) -> bool:
        if write is None:
            return False
        with self._lock:
            held = self._held.setdefault(series, Held())
            if self.journal is not None:
                self._keep_in_order(lambda: self._queue_kept(series, held, write))
            else:
                self._enqueue(held, write)
        return self._is_time()

    def _queue_kept(self, series: str, held: Held, write: Write) -> None:
        kept = False
        try:
            if self.journal is not None:
                kept = self.journal.write(series, held.total, write)
        finally:
            self._enqueue(held, replace(write, kept=kept))

    def _enqueue(self, held: Held, write: Write) -> None:
        held.open = None
        held.entries.append(write)
        held.total += write.rows
        self.rows += write.rows
        self.nbytes += write.nbytes

    def _plan(self, spec: SeriesSpec, values: dict[str, Any], types: tuple[type, ...]) -> Plan:
        bounds: list[tuple[int, int, int]] = []
        texts = []
        for place, (name, value_type) in enumerate(zip(values, types, strict=True)):
            got = kind_of(value_type) or ""
            rule_type = spec.types[name] or self._guess(spec.name, name, got)
            rule = SCALAR_RULES[rule_type].get(value_type)
            if rule is None:
                raise IllegalValue(self._at(spec.name, name, mismatch(got, rule_type)))
            if rule_type == "text":
                texts.append(place)
            elif needs_look(rule):
                wide = rule_type == "float"
                bounds.append((place, -EXACT if wide else INT_MIN, EXACT if wide else INT_MAX))
        layout = Layout(tuple(values), types, spec.typed)
        with self._lock:
            held = self._held.setdefault(spec.name, Held())
        cost = ROW_BYTES + VALUE_BYTES * len(types)
        return Plan(spec.name, layout, held, tuple(bounds), tuple(texts), cost)

    def _write(self, spec: SeriesSpec, values: dict[str, Any]) -> Write | None:
        held: dict[str, Snapshot] = {}
        for name, value in values.items():
            try:
                held[name] = snapshot(value, copy=self._copy)
            except Unfit as unfit:
                raise IllegalValue(self._at(spec.name, name, str(unfit))) from None
            self._check(spec, name, held[name])
        try:
            shape = np.broadcast_shapes(*(each.shape for each in held.values()))
        except ValueError:
            shapes = ", ".join(f"{name} {each.shape}" for name, each in held.items())
            raise ShapeMismatch(
                f"series {spec.name!r}: the shapes do not broadcast to one: {shapes}; "
                "reshape them, or write them in separate calls"
            ) from None
        rows = int(np.prod(shape, dtype=np.int64))
        nbytes = ROW_BYTES + sum(int(each.nbytes) for each in held.values())
        return Write(shape, rows, held, nbytes, spec.typed) if rows else None

    def _spec(self, series: str, values: Mapping[str, Any]) -> SeriesSpec:
        spec = self.catalogue.series.get(series)
        if spec is None:
            if self.catalogue.from_server:
                raise UnknownSeries(
                    f"the server has no series {series!r}; call ensure_series({series!r}, "
                    "{field: type, …}) or `streamvis create-series` first"
                )
            known = self._guesses.setdefault(series, {})
            names = known or values
            spec = SeriesSpec(series, {name: self.catalogue.fields.get(name) for name in names})
        if spec.types.keys() != values.keys():
            raise WrongFields(_wrong_fields(spec, values))
        return spec

    def _check(self, spec: SeriesSpec, name: str, held: Snapshot) -> None:
        data_type = spec.types[name] or self._guess(spec.name, name, kind(held))
        found = problem(held, data_type)
        if found:
            raise IllegalValue(self._at(spec.name, name, found))

    def _guess(self, series: str, name: str, got: str) -> DataType:
        """With no catalogue: the kind must stay the same; an int may turn out to be a float's."""
        number = got in ("int", "float")
        first = self._guesses.setdefault(series, {}).setdefault(name, "number" if number else got)
        if first == "number":
            return "float" if got == "float" else "int"
        return "bool" if first == "bool" else "text"

    def _at(self, series: str, name: str, found: str) -> str:
        spec = self.catalogue.series.get(series)
        data_type = spec.types.get(name) if spec else None
        suffix = f" ({data_type})" if data_type else ""
        return f"series {series!r}, field {name!r}{suffix}: {found}"

    def take(
        self, most_bytes: int, log_end: Callable[[], Position] | None = None
    ) -> tuple[dict[str, list[Entry]], Position | None]:
        """The oldest entries of all series, about `most_bytes`. They count until `release`.

        Also where the log ended at that moment; None when something is left in the queue.
        """
        taken = {}
        with self._lock:
            for series, held in self._held.items():
                if held.entries and most_bytes > 0:
                    taken[series], nbytes = take_front(held, most_bytes)
                    most_bytes -= nbytes
                    self.rows -= sum(entry.rows for entry in taken[series])
            self._wake_at_rows = self.rows + self._wake_rows
            self._wake_at_bytes = min(self.nbytes + self._wake_bytes, self._room)
            everything = not any(held.entries for held in self._held.values())
            mark = None
            if everything:
                mark = log_end() if log_end else Position(0, 0)
        return taken, mark

    def over_room(self) -> int:
        """By how many bytes the queue is over what is left for it."""
        return self.nbytes - self._room

    def set_room(self, nbytes: int) -> None:
        """From so many bytes on, each `add` says that it is time."""
        self._room = nbytes
        self._wake_at_bytes = min(self._wake_at_bytes, nbytes)

    def release(self, nbytes: int) -> None:
        with self._lock:
            self.nbytes -= nbytes

    def totals(self) -> dict[str, int]:
        """Rows ever written, by series."""
        with self._lock:
            return {series: held.total for series, held in self._held.items()}

    def drop_oldest(self, nbytes: int, reason: str) -> int:
        """Give up the oldest entries, about `nbytes` of them; answers the number of rows lost.

        What is on disk is dropped from memory alone.
        """
        dropped = 0
        with self._lock:
            for held in sorted(self._held.values(), key=Held.size, reverse=True):
                rows, freed = drop_front(held, nbytes, reason)
                dropped += rows
                nbytes -= freed
                self.nbytes -= freed
        return dropped


def _scalar(value: Any) -> Any:
    """Enums and the like as their plain value, an array without dimensions as its scalar."""
    if type(value) is np.ndarray and value.shape == () and value.dtype.kind in "biufU":
        return value[()]
    return plain_scalar(value)


def _wrong_fields(spec: SeriesSpec, values: Mapping[str, Any]) -> str:
    missing = ", ".join(sorted(spec.types.keys() - values.keys()))
    extra = ", ".join(sorted(values.keys() - spec.types.keys()))
    parts = [f"missing {missing}"] if missing else []
    parts += [f"not of the series: {extra}"] if extra else []
    fields = ", ".join(spec.types)
    return f"series {spec.name!r}: {'; '.join(parts)}. Pass all its fields and no other: {fields}"
