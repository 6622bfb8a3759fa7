"""The text of a run filter as terms, each with its place. Pure; the grammar: docs/formats/api.md.

A fault names the character it is at (`position`, counted from 0 in Unicode characters).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from catalog.errors import Malformed

MAX_CHARS = 1_000_000
NONE = "(none)"
OPERATORS = (">=", "<=", ">", "<")
_SPACE = re.compile(r"\s+")
_BARE_KEY = re.compile(r"""[^\s":,&()\[\]<>]+""")
_BARE = re.compile(r"""[^\s",&()\[\]]+""")
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True)
class Word:
    """One name or value, unquoted."""

    text: str
    position: int
    length: int
    quoted: bool = False


@dataclass(frozen=True)
class Comparison:
    operator: str
    word: Word


@dataclass(frozen=True)
class Range:
    """From ``least`` to ``greatest``; None: without this end."""

    least: Word | None
    greatest: Word | None
    least_open: bool
    greatest_open: bool


@dataclass(frozen=True)
class Words:
    """A list: any of them (`,`) or all of them (`&`)."""

    words: tuple[Word, ...]
    joined: Literal[",", "&"] = ","


@dataclass(frozen=True)
class Term:
    """`key:ask`, with `-` before it when ``negated``; ``none``: runs without it pass, too."""

    key: Word
    ask: Comparison | Range | Words
    negated: bool
    none: bool
    position: int
    length: int


def fault(message: str, position: int, length: int = 1, *, hint: str | None = None) -> Malformed:
    return Malformed(
        "illegal_filter_text",
        f"Run filter, character {position + 1}: {message}",
        position=position,
        length=length,
        hint=hint,
    )


def scan(text: str) -> list[Term]:
    """The terms of a text.

    Raises:
        Malformed: `illegal_filter_text`, with `position` and `length`.
    """
    if len(text) > MAX_CHARS:
        raise fault(f"the text is longer than {MAX_CHARS:,} characters.", MAX_CHARS)
    return _Scanner(text).terms()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def terms(self) -> list[Term]:
        found = []
        self._skip_space()
        while self.at < len(self.text):
            found.append(self._term())
            if self.at < len(self.text) and not self._skip_space():
                raise fault(f"{self._here!r} is not expected here; a space ends a term.", self.at)
        return found

    @property
    def _here(self) -> str:
        return self.text[self.at : self.at + 1]

    def _skip_space(self) -> bool:
        if space := _SPACE.match(self.text, self.at):
            self.at = space.end()
        return space is not None

    def _take(self, *tokens: str) -> str:
        """The first of these that stands here, which is then passed; or an empty text."""
        for token in tokens:
            if self.text.startswith(token, self.at):
                self.at += len(token)
                return token
        return ""

    def _term(self) -> Term:
        start = self.at
        negated = self._take("-") != ""
        key = self._word(_BARE_KEY, "the name of what is asked for")
        if not self._take(":"):
            raise self._not_a_term(key)
        none = self._take(NONE) != ""
        ask: Comparison | Range | Words = Words(())
        if not none:
            ask = self._ask(key)
            none = self._take("," + NONE) != ""
        return Term(key, ask, negated, none, start, self.at - start)

    def _not_a_term(self, key: Word) -> Malformed:
        shown = quote(key.text)
        return fault(
            f"{key.text!r:.60} alone asks for nothing; write name:value.",
            key.position,
            key.length,
            hint=f"tag:{shown}, or has:{shown} for runs with this attribute",
        )

    def _ask(self, key: Word) -> Comparison | Range | Words:
        if operator := self._take(*OPERATORS):
            return Comparison(operator, self._value())
        if self._take("()"):
            return Words(())
        if self._here in ("[", "("):
            return self._range()
        words = [self._value()]
        joined: Literal[",", "&"] = "&" if self._here == "&" else ","
        while self._here == joined and not self.text.startswith("," + NONE, self.at):
            self.at += 1
            words.append(self._value())
        if self._here in (",", "&") and not self.text.startswith("," + NONE, self.at):
            raise fault("a list is joined by , (any of them) or by & (all), not by both.", self.at)
        self._check_no_dots(key, words)
        return Words(tuple(words), joined)

    def _check_no_dots(self, key: Word, words: list[Word]) -> None:
        first = words[0]
        if not first.quoted and re.fullmatch(r"[-+.\deE]*\d\.\.[-+.\deE]*", first.text):
            raise fault(
                "a range stands in brackets.",
                first.position,
                first.length,
                hint=f"{key.text}:[{first.text}]",
            )

    def _range(self) -> Range:
        start = self.at
        least_open = self._take("[", "(") == "("
        least = self._end(start, "..")
        if not self._take(".."):
            raise fault("a range is written [least..greatest].", start, self.at - start + 1)
        greatest = self._end(start, "]", ")")
        closed_by = self._take("]", ")")
        if not closed_by:
            raise fault("this bracket is not closed.", start, hint="[least..greatest]")
        if least is None and greatest is None:
            raise fault("a range needs one end at least.", start, self.at - start)
        return Range(least, greatest, least_open, closed_by == ")")

    def _end(self, start: int, *stops: str) -> Word | None:
        """One end of a range: up to one of these, or quoted."""
        self._skip_space()
        if self._here == '"':
            word: Word | None = self._quoted()
        else:
            begin = self.at
            while self.at < len(self.text) and not self.text.startswith(stops, self.at):
                if self._here in '[]()",':
                    raise fault(f"{self._here!r} does not belong in a range.", self.at)
                self.at += 1
            if self.at == len(self.text):
                raise fault("this bracket is not closed.", start, hint="[least..greatest]")
            inside = self.text[begin : self.at].strip()
            word = Word(inside, begin, self.at - begin) if inside else None
        self._skip_space()
        return word

    def _value(self) -> Word:
        return self._word(_BARE, "a value")

    def _word(self, bare: re.Pattern[str], what: str) -> Word:
        if self._here == '"':
            return self._quoted()
        found = bare.match(self.text, self.at)
        if found is None:
            seen = f"not {self._here!r}" if self._here else "and the text ends"
            raise fault(f"{what} is expected here, {seen}.", self.at)
        word = Word(found[0], self.at, len(found[0]))
        self.at = found.end()
        return word

    def _quoted(self) -> Word:
        start = self.at
        self.at += 1
        letters = []
        while (letter := self._here) != '"':
            if not letter:
                raise fault("this quotation mark is not closed.", start)
            if letter == "\\":
                self.at += 1
                if self._here not in _ESCAPES:
                    raise fault(
                        'after a backslash stands one of " \\ n t r.', self.at - 1, 2, hint="\\\\"
                    )
                letter = _ESCAPES[self._here]
            letters.append(letter)
            self.at += 1
        self.at += 1
        return Word("".join(letters), start, self.at - start, quoted=True)


def quote(text: str, *, always: bool = False) -> str:
    """A value as it is written: bare where that reads back the same."""
    safe = _BARE.fullmatch(text) and not text.startswith(("<", ">")) and ".." not in text
    if safe and not always:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for letter, meant in (("n", "\n"), ("t", "\t"), ("r", "\r")):
        escaped = escaped.replace(meant, "\\" + letter)
    return f'"{escaped}"'


def quote_key(name: str, reserved: frozenset[str]) -> str:
    """A field's name before the colon; quoted where it could be taken for something else."""
    safe = _BARE_KEY.fullmatch(name) and not name.startswith("-") and name not in reserved
    return name if safe else quote(name, always=True)
