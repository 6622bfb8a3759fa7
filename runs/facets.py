"""How many runs each value would leave, counted under all other parts of the filter. Pure.

What is announced is what choosing the value alone in its part gives, to the run (see
docs/formats/api.md, "Facets").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from catalog.types import Value
from runs.bins import Bin, bin_numbers
from runs.column_index import Array, Column, Index, Mask
from runs.column_masks import SHOWN_STATES, Parts, bearing, shown_states
from runs.filter_nodes import RunFilter, TagNode

STARTED_BINS = 48


@dataclass(frozen=True)
class Options:
    """Attributes:
    values: at most so many values of one facet, those of most runs.
    contains: only values with this text in them, whatever the case.
    """

    values: int = 20
    contains: str = ""


@dataclass(frozen=True)
class Count:
    value: Value
    runs: int


@dataclass(frozen=True)
class Values:
    """``distinct``: how many values there are, of which these are some."""

    counts: list[Count]
    distinct: int


@dataclass(frozen=True)
class AttributeFacet:
    """Attributes:
    covered: of the runs that pass the whole filter, how many have the attribute.
    runs, none: of those that pass all other parts, how many have it, and have not.
    values: None: too many different numbers; then only those that are not finite.
    """

    field_id: int
    covered: int
    runs: int
    none: int
    values: Values
    bins: list[Bin]


def count_tags(parts: Parts, run_filter: RunFilter, options: Options) -> Values:
    """Under all parts, the tag had besides: without the list of which any is enough, and, for a
    tag that must not be had, without this demand."""
    tags = parts.index.tags
    mask = parts.passing_but(("tags", "any"))
    counts = _counts(tags, mask)
    refused = _names(run_filter.tags, every=False, negate=True)
    for name in refused:
        others = parts.passing_but(("tags", "any"), ("not_tags", "any"))
        for other in refused - {name}:
            others &= ~bearing(parts.index, other)
        if (code := tags.words.find(name)) is not None:
            counts[code] = int((others & bearing(parts.index, name)).sum())
    chosen = {name for node in run_filter.tags for name in node.names}
    return _most(tags.words.values, counts, chosen, options)


def _names(nodes: Iterable[TagNode], *, every: bool, negate: bool) -> set[str]:
    fitting = (node for node in nodes if node.every == every and node.negate == negate)
    return {name for node in fitting for name in node.names}


def count_series(parts: Parts) -> dict[int, int]:
    """By series id: how many of the passing runs have rows there."""
    mask = parts.passing
    return {key: int(mask[rows.slots].sum()) for key, rows in parts.index.series.items()}


def count_owners(parts: Parts) -> dict[int, int]:
    """By user id."""
    owners = parts.index.heads.owners[parts.passing_but(("owner",))]
    found, counts = np.unique(owners, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def count_states(parts: Parts) -> dict[str, int]:
    states = shown_states(parts.index, parts.context.now)[parts.passing_but(("state",))]
    counts = np.bincount(states, minlength=len(SHOWN_STATES)).tolist()
    return dict(zip(SHOWN_STATES, counts, strict=True))


def bin_started(parts: Parts) -> list[Bin]:
    """In µs since 1970; both ends of a bin belong to it."""
    started = parts.index.heads.started[parts.passing_but(("started",))]
    return bin_numbers(started, bins=STARTED_BINS)


def coverage(index: Index, mask: Mask) -> dict[int, int]:
    """By field id: how many of these runs have a value; only fields that some have."""
    counts = {key: int(mask[column.slots].sum()) for key, column in index.fields.items()}
    return {key: runs for key, runs in counts.items() if runs}


def count_attribute(
    parts: Parts, field_id: int, chosen: Collection[Value], options: Options
) -> AttributeFacet:
    """``chosen``: values that the filter names; they are told even where no run has them."""
    column = parts.index.fields.get(field_id) or Column.empty("text")
    mask = parts.passing_but(("attribute", field_id))
    covered = int(parts.passing[column.slots].sum())
    runs = int(mask[column.slots].sum())
    none = int(mask.sum()) - runs
    if column.codes is None:
        values, bins = _uncoded(column, mask, options)
    else:
        counts = _counts(column, mask)
        values = _most(column.words.values, counts, chosen, options)
        bins = [] if column.numbers is None else _bins(column, counts)
    return AttributeFacet(field_id, covered, runs, none, values, bins)


def _counts(column: Column, mask: Mask) -> Array:
    codes = column.codes if column.codes is not None else np.empty(0, np.int32)
    return np.bincount(codes[mask[column.slots]], minlength=len(column.words))


def _most(
    words: Sequence[Value], counts: Array, chosen: Collection[Value], options: Options
) -> Values:
    """Those of most runs, and the chosen ones; numbers rising, others by how many runs."""
    (present,) = np.nonzero(counts[: len(words)])
    if options.contains:
        wanted = options.contains.casefold()
        present = np.array(
            [c for c in present.tolist() if wanted in str(words[c]).casefold()], np.int64
        )
    distinct = len(present)
    if distinct > options.values:
        # of equally many runs, the value that was there first
        rank = counts[present].astype(np.int64) * 2**32 - present
        present = present[np.argpartition(-rank, options.values)[: options.values]]
    found = [Count(words[code], int(counts[code])) for code in present.tolist()]
    # By type and value: True is no 1, and NaN is not itself.
    known = {_identity(count.value) for count in found}
    code_of = {_identity(word): code for code, word in enumerate(words)} if chosen else {}
    for value in chosen:
        if (identity := _identity(value)) not in known:
            known.add(identity)
            code = code_of.get(identity)
            found.append(Count(value, 0 if code is None else int(counts[code])))
    return Values(sorted(found, key=_place), distinct)


def _identity(value: Value) -> tuple[type, Value]:
    if isinstance(value, float) and value != value:
        return (float, "NaN")
    return (type(value), value)


def _place(count: Count) -> tuple[bool, float | int, str]:
    value = count.value
    if isinstance(value, bool | str):
        return (False, -count.runs, str(value))
    return (value != value, 0 if value != value else value, "")


def _bins(column: Column, counts: Array) -> list[Bin]:
    dtype = None if column.numbers is None else column.numbers.dtype
    values = np.array(column.words.values, dtype)
    shown = np.isfinite(values) & (counts > 0)
    return bin_numbers(values[shown], counts[shown])


def _uncoded(column: Column, mask: Mask, options: Options) -> tuple[Values, list[Bin]]:
    numbers = column.numbers[mask[column.slots]] if column.numbers is not None else np.empty(0)
    finite = np.isfinite(numbers)
    odd: list[Count] = []
    if not finite.all():
        for value in (float("-inf"), float("inf"), float("nan")):
            runs = int((np.isnan(numbers) if value != value else numbers == value).sum())
            if runs:
                odd.append(Count(value, runs))
    return Values(odd, len(numbers)), bin_numbers(numbers[finite])
