"""The text form of the run filter: to the JSON it stands for, and from typed nodes back.

`parse_filter(print_text(f)) == f` for every filter that came from a text; the grammar and what
maps to what: docs/formats/api.md, "Run filter as text".
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from django.utils import timezone

from catalog.definitions import parse_handle
from catalog.errors import Illegal, Malformed, Refused
from catalog.models import Field, Series
from catalog.types import check_text, dump_value
from runs.attributes import as_typed, parse_typed
from runs.filter_nodes import STATES, AttributeNode, RunFilter, TagNode
from runs.filter_scan import NONE, Comparison, Range, Term, Word, Words, fault, quote, quote_key
from runs.filter_scan import scan as scan_terms
from runs.times import parse_time

KEYS = frozenset(("tag", "has", "missing", "series", "owner", "state", "run", "started", "rows"))
ROWS: dict[str, bool | None] = {"some": True, "none": False, "any": None}
_BOUNDS = {">=": "min", "<=": "max", ">": "min_open", "<": "max_open"}
_OPERATORS = {"gte": ">=", "lte": "<=", "gt": ">", "lt": "<"}


def parse_text(text: str) -> dict[str, Any]:
    """The JSON form of a text; fields and series by handle.

    Raises:
        Malformed: `illegal_filter_text`: not of the grammar.
        Illegal: of the grammar, but not legal: an unknown field, a value of another type.
        Both with `position` and `length`, in Unicode characters.
    """
    check_text(text, what="filter", max_bytes=4_000_000)
    terms = scan_terms(text)
    return _Builder(_fields_of(terms), _series_of(terms)).build(terms)


def _is_field(key: Word) -> bool:
    return key.quoted or key.text not in KEYS


def _fields_of(terms: Iterable[Term]) -> dict[str, Field]:
    """Fields that are named, by what they are called in the text. One query."""
    words = [term.key for term in terms if _is_field(term.key)]
    words += _words_after(terms, "has", "missing")
    return _named(Field, words)


def _series_of(terms: Iterable[Term]) -> dict[str, Series]:
    return _named(Series, _words_after(terms, "series"))


def _words_after(terms: Iterable[Term], *keys: str) -> list[Word]:
    asks = [term.ask for term in terms if not _is_field(term.key) and term.key.text in keys]
    return [word for ask in asks if isinstance(ask, Words) for word in ask.words]


def _named(model: type[Any], words: Sequence[Word]) -> dict[str, Any]:
    if not words:
        return {}
    names = {word.text for word in words}
    handles = {parsed: name for name in names if (parsed := parse_handle(name))}
    found = list(model.objects.filter(Q(name__in=names) | Q(handle__in=list(handles))))
    by_name = {item.name: item for item in found if item.name in names}
    by_handle = {handles[item.handle]: item for item in found if item.handle in handles}
    named = by_name | by_handle  # the handle wins over a name that looks like it
    for word in words:
        if word.text not in named:
            raise _unknown(model, word)
    return named


def _unknown(model: type[Any], word: Word) -> Illegal:
    what = model.__name__.lower()
    names = model.objects.values_list("name", flat=True)
    known = [*names, *KEYS] if model is Field else list(names)
    near = difflib.get_close_matches(word.text, known, n=3, cutoff=0.6)
    return Illegal(
        f"unknown_{what}",
        f"Run filter, character {word.position + 1}: there is no {what} {word.text!r:.60}.",
        position=word.position,
        length=word.length,
        hint=f"Did you mean {', '.join(near)}?" if near else None,
        **{what: word.text},
    )


@dataclass
class _Builder:
    """Collects the parts of the JSON form, term by term."""

    fields: dict[str, Field]
    series: dict[str, Series]
    parts: dict[str, Any] = field(default_factory=dict)

    def build(self, terms: Iterable[Term]) -> dict[str, Any]:
        takers: dict[str, Callable[[Term], None]] = {
            "tag": self._tag,
            "has": lambda term: self._presence(term, True),
            "missing": lambda term: self._presence(term, False),
            "series": self._series,
            "owner": self._owner,
            "state": self._state,
            "run": self._run,
            "started": self._started,
            "rows": self._rows,
        }
        for term in terms:
            take = self._attribute if _is_field(term.key) else takers[term.key.text]
            if term.negated and take not in (takers["tag"], takers["has"], takers["missing"]):
                raise _at(term, "only tag:, has: and missing: can be negated.")
            if term.none and take != self._attribute:
                raise _at(term, f"{NONE} is a value of attributes only.")
            take(term)
        return self.parts

    def _tag(self, term: Term) -> None:
        ask = _words(term, "tag:a, tag:a,b (any of them), -tag:a")
        names = [word.text for word in ask.words]
        if term.negated and not names:
            return  # drops nothing
        tags = self.parts.setdefault("not_tags" if term.negated else "tags", {})
        # Without: one is dropped by each; with: each must be there.
        single = "any" if term.negated else "all"
        mode = single if len(names) == 1 else "all" if ask.joined == "&" else "any"
        if not names or tags.get("any") == []:
            tags["any"] = []  # matches nothing, whatever else is asked
            return
        if mode != single and mode in tags:
            sign, example = ("-", "a&b") if term.negated else ("", "a,b")
            raise _at(term, f"there is another list of this kind; one {sign}tag:{example} only.")
        tags.setdefault(mode, []).extend(names)

    def _presence(self, term: Term, present: bool) -> None:
        word = _one_word(term, f"{term.key.text}:name")
        handle = str(self.fields[word.text].handle)
        self._item({"field": handle, "present": present != term.negated})

    def _item(self, item: dict[str, Any]) -> None:
        self.parts.setdefault("attributes", []).append(item)

    def _series(self, term: Term) -> None:
        ask = _words(term, "series:name")
        if len(ask.words) > 1 and ask.joined == ",":
            both = " ".join(f"series:{quote(word.text)}" for word in ask.words)
            raise _at(term, "runs must have rows in each series that is named.", hint=both)
        handles = [str(self.series[word.text].handle) for word in ask.words]
        self.parts.setdefault("series", []).extend(handles)

    def _list(self, term: Term, part: str) -> list[Word]:
        """A part that is a list of which any passes, and can stand but once."""
        ask = _words(term, f"{term.key.text}:a,b")
        if part in self.parts:
            raise _at(term, f"{term.key.text}: stands here twice; write {term.key.text}:a,b.")
        if ask.joined == "&" and len(ask.words) > 1:
            raise _at(term, f"a run has one {term.key.text}; write , for any of them.")
        self.parts[part] = [word.text for word in ask.words]
        return list(ask.words)

    def _owner(self, term: Term) -> None:
        self._list(term, "owner")

    def _state(self, term: Term) -> None:
        for word in self._list(term, "state"):
            if word.text not in STATES:
                near = difflib.get_close_matches(word.text, STATES, n=1)
                hint = f"state:{near[0]}" if near else None
                words = f"{word.text!r:.60} is not a state; known: {', '.join(STATES)}."
                raise fault(words, word.position, word.length, hint=hint)

    def _run(self, term: Term) -> None:
        for word in self._list(term, "handles"):
            if parse_handle(word.text) is None:
                words = f"{word.text!r:.60} is not a whole handle (8-4-4-4-12 hex digits)."
                raise fault(words, word.position, word.length)

    def _rows(self, term: Term) -> None:
        word = _one_word(term, "rows:any")
        if word.text not in ROWS:
            raise fault("rows: is some, none or any.", word.position, word.length, hint="rows:any")
        if "with_rows" in self.parts:
            raise _at(term, "rows: stands here twice.")
        self.parts["with_rows"] = ROWS[word.text]

    def _started(self, term: Term) -> None:
        ends: dict[str, Word | None]
        if isinstance(term.ask, Comparison):
            ends = {"min" if term.ask.operator[0] == ">" else "max": term.ask.word}
        elif isinstance(term.ask, Range):
            if term.ask.least_open or term.ask.greatest_open:
                raise _at(term, "both ends of started: belong to it.", hint="started:[a..b]")
            ends = {"min": term.ask.least, "max": term.ask.greatest}
        else:
            raise _at(term, "started: takes a range.", hint='started:>"2 days ago"')
        for key, word in ends.items():
            if word is None:
                continue
            part = self.parts.setdefault("started_at", {})
            if key in part:
                raise _at(term, f"started: has another {key} already.")
            _located(word, lambda text: parse_time(text, now=timezone.now(), what="started"))
            part[key] = word.text

    def _attribute(self, term: Term) -> None:
        found = self.fields[term.key.text]
        item: dict[str, Any] = {"field": str(found.handle)}
        if isinstance(term.ask, Words):
            if term.none and not term.ask.words:
                self._item(item | {"present": False})
                return
            if term.ask.joined == "&" and len(term.ask.words) > 1:
                raise _at(term, "a run has one value of a field; write , for any of them.")
            item["values"] = [_typed(found, word) for word in term.ask.words]
        else:
            item |= self._bounds(term, found)
        self._item(item | ({"include_missing": True} if term.none else {}))

    def _bounds(self, term: Term, found: Field) -> dict[str, Any]:
        if found.data_type not in ("int", "float"):
            raise _at(term, f"{found.name!r} is of type {found.data_type}: it has no range.")
        bounds = {key: _typed(found, word) for key, word in _ends(term.ask).items()}
        if "NaN" in bounds.values():
            raise _at(term, "a range cannot end at NaN.")
        return bounds


def _ends(ask: Comparison | Range | Words) -> dict[str, Word]:
    """The ends that are given, by their key in JSON."""
    if isinstance(ask, Comparison):
        return {_BOUNDS[ask.operator]: ask.word}
    if isinstance(ask, Words):
        return {}
    given = {
        "min_open" if ask.least_open else "min": ask.least,
        "max_open" if ask.greatest_open else "max": ask.greatest,
    }
    return {key: word for key, word in given.items() if word is not None}


def _at(term: Term, message: str, *, hint: str | None = None) -> Malformed:
    return fault(message, term.position, term.length, hint=hint)


def _words(term: Term, example: str) -> Words:
    if not isinstance(term.ask, Words):
        raise _at(term, f"{term.key.text}: takes no range.", hint=example)
    return term.ask


def _one_word(term: Term, example: str) -> Word:
    ask = _words(term, example)
    if len(ask.words) != 1:
        raise _at(term, f"{term.key.text}: takes one name.", hint=example)
    return ask.words[0]


def _typed(found: Field, word: Word) -> Any:
    return _located(word, lambda text: dump_value(parse_typed(found, text)))


def _located(word: Word, read: Callable[[str], Any]) -> Any:
    try:
        return read(word.text)
    except Refused as refused:
        refused.details |= {"position": word.position, "length": word.length}
        raise


def print_text(run_filter: RunFilter) -> str:
    """The text that reads back as this filter. Names of fields and series as they are now."""
    terms = [*_print_tags(run_filter.tags)]
    for node in run_filter.attributes:
        terms += _print_attribute(node)
    if run_filter.series == ():
        terms.append("series:()")
    terms += [f"series:{quote(series.name)}" for series in run_filter.series or ()]
    for key, listed in (
        ("owner", run_filter.owners),
        ("state", run_filter.states),
        ("run", None if run_filter.handles is None else map(str, run_filter.handles)),
    ):
        if listed is not None:
            terms.append(f"{key}:{_print_list(listed)}")
    terms += _print_started(*run_filter.started_at)
    if run_filter.with_rows is not True:
        terms.append("rows:none" if run_filter.with_rows is False else "rows:any")
    return " ".join(terms)


def _print_list(listed: Iterable[str]) -> str:
    return ",".join(map(quote, listed)) or "()"


def _print_tags(nodes: Sequence[TagNode]) -> Iterable[str]:
    nothing = [node for node in nodes if not node.names and not node.negate]
    if nothing:
        yield "tag:()"
    for node in nodes:
        sign = "-" if node.negate else ""
        if not node.names or (nothing and not node.negate):
            continue
        if node.every == node.negate or len(node.names) < 2:
            joined = ("&" if node.every else ",").join(map(quote, node.names))
            yield f"{sign}tag:{joined}"
        else:
            yield from (f"{sign}tag:{quote(name)}" for name in node.names)


def _print_attribute(node: AttributeNode) -> list[str]:
    key = quote_key(node.field.name, KEYS)
    none = f",{NONE}" if node.include_missing else ""
    terms = []
    least = [bound for bound in node.bounds if bound[0] in ("gte", "gt")]
    greatest = [bound for bound in node.bounds if bound[0] in ("lte", "lt")]
    while least and greatest:
        (low, first), (high, last) = least.pop(0), greatest.pop(0)
        opened, closed = "[" if low == "gte" else "(", "]" if high == "lte" else ")"
        terms.append(f"{key}:{opened}{as_typed(first)}..{as_typed(last)}{closed}{none}")
    for lookup, bound in (*least, *greatest):
        terms.append(f"{key}:{_OPERATORS[lookup]}{as_typed(bound)}{none}")
    if node.values == () and node.include_missing:
        terms.append(f"missing:{quote(node.field.name)}")
    elif node.values is not None:
        listed = _print_list(map(as_typed, node.values))
        terms.append(f"{key}:{listed}{none}")
    if node.present is not None or (not node.asks_of_value and not node.include_missing):
        terms.append(f"{'missing' if node.present is False else 'has'}:{quote(node.field.name)}")
    return terms


def _print_started(least: str | None, greatest: str | None) -> Iterable[str]:
    if least is not None and greatest is not None:
        yield f"started:[{quote(least)}..{quote(greatest)}]"
    elif least is not None:
        yield f"started:>={quote(least)}"
    elif greatest is not None:
        yield f"started:<={quote(greatest)}"
