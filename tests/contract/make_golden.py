"""Write the golden frames: `python tests/contract/make_golden.py`.

The bytes are put together here from docs/formats/frame.md with `struct` and `zlib` alone, so that
the client's, the server's and the page's codecs are all tested against something that is none of
them. `golden/frames.json` says what a reader must find in each file:

- `files`: messages that are legal. Per frame `kind`, `header` (its other keys), and for `rows`
  frames `columns` with `values` written out for every row (`const` too): int as decimal string,
  float as the 16 hex digits of its float64 bit pattern (big-endian; every NaN as
  7ff8000000000000), bool as true/false, text as it is. `crc` is the check value at the frame's
  end; `chain` is the one before its first row (0 unless said).
- `refused`: messages that must be refused, with the error's code and the frame's index. `why` is
  for people. Frames before that index are legal.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
SERIES = "5e51e500-0000-4000-8000-000000000001"
OTHER_SERIES = "5e51e500-0000-4000-8000-000000000002"
RUN = "0badcafe-0000-4000-8000-000000000001"
OTHER_RUN = "0badcafe-0000-4000-8000-000000000002"
WRITER = "00112233445566778899aabbccddeeff"
FORMATS = {"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I"}
FORMATS |= {"f4": "f", "f8": "d"}
NAN, INF = float("nan"), float("inf")
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def field_handle(number: int) -> str:
    return f"f1e1d000-0000-4000-8000-{number:012d}"


@dataclass
class Column:
    """One column as it lies in a frame: `stored` are values, or codes into `words` for text."""

    number: int
    type: str
    dtype: str
    stored: list[Any]
    const: bool = False
    words: list[str] = field(default_factory=list)
    chain: int | None = 0  # None: without a crc, as in an answer of data/

    def values(self, rows: int) -> list[Any]:
        stored = self.stored * rows if self.const else self.stored
        if self.type == "text":
            return [self.words[code] for code in stored]
        if self.dtype == "f4":
            return [struct.unpack("<f", struct.pack("<f", value))[0] for value in stored]
        return [bool(value) for value in stored] if self.type == "bool" else stored

    def crc(self, rows: int) -> int:
        crc = self.chain or 0
        for value in self.values(rows):
            crc = zlib.crc32(canonical(self.type, value), crc)
        return crc

    def parts(self) -> list[bytes]:
        stored = struct.pack(f"<{len(self.stored)}{FORMATS[self.dtype]}", *self.stored)
        if self.type != "text":
            return [stored]
        words = [word.encode() for word in self.words]
        ends = [sum(map(len, words[: i + 1])) for i in range(len(words))]
        return [stored, struct.pack(f"<{len(ends)}I", *ends), b"".join(words)]


def canonical(data_type: str, value: Any) -> bytes:
    if data_type == "int":
        return struct.pack("<q", value)
    if data_type == "float":
        return b"\0\0\0\0\0\0\xf8\x7f" if value != value else struct.pack("<d", value)
    if data_type == "bool":
        return bytes([value])
    return struct.pack("<I", len(value.encode())) + value.encode()


def pad(data: bytes, filler: bytes) -> bytes:
    return data + filler * (-len(data) % 8)


def raw_frame(header: bytes, body: bytes, magic: bytes = b"SVF1") -> bytes:
    return magic + struct.pack("<IQ", len(header), len(body)) + header + body


def plain(kind: str, **keys: Any) -> bytes:
    return raw_frame(pad(json.dumps({"kind": kind, **keys}).encode(), b" "), b"")


def rows_frame(columns: list[Column], rows: int, **keys: Any) -> bytes:
    body, entries = b"", []
    for column in columns:
        parts = []
        for part in column.parts():
            parts.append([len(body), len(part)])
            body += pad(part, b"\0")
        entry = {"field": field_handle(column.number), "type": column.type, "dtype": column.dtype}
        entry |= {"const": True} if column.const else {}
        entry |= {"parts": parts}
        entry |= {} if column.chain is None else {"crc": column.crc(rows)}
        entries.append(entry)
    header = {"kind": "rows", **keys, "rows": rows, "columns": entries}
    return raw_frame(pad(json.dumps(header).encode(), b" "), body)


def expected_value(data_type: str, value: Any) -> Any:
    if data_type == "int":
        return str(value)
    if data_type == "float":
        return canonical("float", value)[::-1].hex()
    return value


def expected_column(column: Column, rows: int) -> dict[str, Any]:
    values = [expected_value(column.type, value) for value in column.values(rows)]
    entry = {"field": field_handle(column.number), "type": column.type, "dtype": column.dtype}
    entry |= {"const": column.const, "values": values}
    return entry | (
        {} if column.chain is None else {"chain": column.chain, "crc": column.crc(rows)}
    )


class Message:
    """A message and what it says, side by side."""

    def __init__(self, file: str, why: str) -> None:
        self.file, self.why = file, why
        self.data, self.frames = b"", []

    def plain(self, kind: str, **keys: Any) -> Message:
        self.data += plain(kind, **keys)
        self.frames.append({"kind": kind, "header": keys})
        return self

    def rows(self, columns: list[Column], rows: int, **keys: Any) -> Message:
        self.data += rows_frame(columns, rows, **keys)
        expected = [expected_column(column, rows) for column in columns]
        self.frames.append({"kind": "rows", "header": keys, "rows": rows, "columns": expected})
        return self


FLOATS = [0.0, -0.0, 1.5, NAN, INF, -INF, 5e-324, 1.7976931348623157e308]
FLOATS4 = [0.0, -0.0, 1.5, NAN, INF, -INF, 2.0**-149, 3.4028234663852886e38]
EXTREMES = {
    "i1": [-128, 127],
    "i2": [-32768, 32767],
    "i4": [-(2**31), 2**31 - 1],
    "i8": [INT64_MIN, INT64_MAX],
    "u1": [0, 255],
    "u2": [0, 65535],
    "u4": [0, 2**32 - 1],
}
WORDS = [
    "",
    "adam",
    "😀 emoji 👩‍👩‍👧",
    "مرحبا بالعالم",
    "שלום",
    "line\nbreak\ttab",
    "e\u0301 é",
    "\U0010ffff",
]


def all_dtypes() -> Message:
    columns = [
        Column(number, "int", dtype, [low, high, 0, 1, 2, 3, high, low])
        for number, (dtype, (low, high)) in enumerate(EXTREMES.items())
    ]
    columns.append(Column(10, "float", "f4", FLOATS4))
    columns.append(Column(11, "float", "f8", FLOATS))
    columns.append(Column(12, "bool", "u1", [1, 0, 0, 1, 1, 1, 0, 1]))
    for number, dtype in ((13, "u1"), (14, "u2"), (15, "u4")):
        columns.append(Column(number, "text", dtype, [0, 1, 2, 3, 4, 5, 6, 7], words=WORDS))
    return Message("rows_dtypes.svf", "every dtype, extremes").rows(
        columns, 8, series=SERIES, first=0
    )


def constants() -> Message:
    columns = [
        Column(number, "int", dtype, [extremes[0]], const=True)
        for number, (dtype, extremes) in enumerate(EXTREMES.items())
    ]
    columns.append(Column(10, "float", "f4", [NAN], const=True))
    columns.append(Column(11, "float", "f8", [-0.0], const=True))
    columns.append(Column(12, "bool", "u1", [1], const=True))
    columns.append(Column(13, "text", "u1", [0], const=True, words=["שלום 😀"]))
    columns.append(Column(14, "text", "u2", [1], const=True, words=["unused", ""]))
    columns.append(Column(15, "int", "u2", [1, 2, 3, 4, 65535]))
    return Message("rows_const.svf", "constants beside one full column").rows(
        columns, 5, series=SERIES, first=12
    )


def one_row() -> Message:
    columns = [Column(0, "int", "u1", [7]), Column(1, "float", "f4", [0.1])]
    columns.append(Column(2, "text", "u1", [0], words=["x"]))
    return Message("rows_one.svf", "one row: each part is padded").rows(
        columns, 1, series=SERIES, first=0
    )


def odd_words() -> Message:
    words = ["b", "a", "b", "never used", "", ""]
    columns = [Column(0, "text", "u1", [2, 0, 1, 5, 4, 0], words=words)]
    return Message("rows_words.svf", "equal words twice, an unused one, the empty one twice").rows(
        columns, 6, series=SERIES, first=0
    )


def zero_rows() -> Message:
    columns = [
        Column(0, "int", "i8", []),
        Column(1, "float", "f4", []),
        Column(2, "bool", "u1", []),
        Column(3, "text", "u1", []),
        Column(4, "int", "u1", [], const=True),
        Column(5, "text", "u1", [], const=True),
    ]
    message = Message("rows_zero.svf", "no rows, also of constants; then a frame without columns")
    message.rows(columns, 0, series=SERIES, first=3)
    return message.rows([], 0, series=SERIES, first=3)


def append_message() -> Message:
    """Two frames of one series whose check values chain, a skip, and the chain begun anew."""
    first = [Column(0, "int", "u1", [0, 1, 2]), Column(1, "float", "f8", [0.5, NAN, -0.0])]
    chains = [column.crc(3) for column in first]
    second = [
        Column(0, "int", "i8", [3, 2**40 + 7], chain=chains[0]),
        Column(1, "float", "f4", [1.5], const=True, chain=chains[1]),
    ]
    third = [Column(0, "int", "i2", [9]), Column(1, "float", "f8", [0.1])]
    ops = [
        {"op": "set_attributes", "values": {field_handle(0): "9223372036854775807"}},
        {"op": "add_tags", "tags": ["baseline"]},
        {"op": "state", "state": "running"},
    ]
    message = Message("append.svf", "an append with operations, chained check values and a skip")
    message.plain("append", generation=2, writer=WRITER, meta={"first": 4, "ops": ops})
    message.rows(first, 3, series=SERIES, first=0)
    message.rows(second, 2, series=SERIES, first=3)
    message.plain("skip", series=SERIES, first=5, rows=10, reason="the queue was full")
    message.rows(third, 1, series=SERIES, first=15)
    return message.rows(
        [Column(2, "text", "u1", [0, 0], words=["a"])], 2, series=OTHER_SERIES, first=0
    )


def data_message() -> Message:
    """An answer of data/: no check values; the second run was replaced while it was read."""
    fields = [
        {
            "handle": field_handle(0),
            "name": "step",
            "data_type": "int",
            "unit": None,
            "description": "",
        },
        {
            "handle": field_handle(1),
            "name": "loss",
            "data_type": "float",
            "unit": "nat",
            "description": "d",
        },
    ]
    lr = {
        "handle": field_handle(9),
        "name": "lr",
        "data_type": "float",
        "unit": None,
        "description": "",
    }
    run = {"generation": 1, "state": "finished", "owner": "me", "tags": ["a"]}
    runs = [
        {
            "run": RUN,
            "rows": 3,
            "started_at": "2025-01-01T00:00:00Z",
            "attributes": {field_handle(9): 0.1},
            **run,
        },
        {
            "run": OTHER_RUN,
            "rows": 2,
            "started_at": "2025-01-02T00:00:00Z",
            "attributes": {},
            **run,
        },
    ]
    message = Message("data.svf", "an answer of data/ with a reset")
    message.plain(
        "data", series={"handle": SERIES, "name": "training"}, fields=fields, attributes=[lr],
        runs=runs, gone=[{"run": "0badcafe-0000-4000-8000-000000000003", "reason": "deleted"}],
    )  # fmt: skip
    for first, steps, losses in ((0, [0, 1], [0.5, NAN]), (2, [2], [-0.0])):
        columns = [
            Column(0, "int", "i8", steps, chain=None),
            Column(1, "float", "f8", losses, chain=None),
        ]
        message.rows(columns, len(steps), run=RUN, generation=1, first=first)
    columns = [
        Column(0, "int", "u1", [0], chain=None),
        Column(1, "float", "f4", [1.5], const=True, chain=None),
    ]
    message.rows(columns, 1, run=OTHER_RUN, generation=1, first=0)
    message.plain("reset", run=OTHER_RUN)
    return message.plain("end", cursor={RUN: [1, 3]}, more=False)


def with_column(entry: dict[str, Any], rows: int, body: bytes) -> bytes:
    """A rows frame whose one column is said to be `entry`, with whatever `body`."""
    entry = {"field": field_handle(0), "crc": 0, **entry}
    header = {"kind": "rows", "series": SERIES, "first": 0, "rows": rows, "columns": [entry]}
    return raw_frame(pad(json.dumps(header).encode(), b" "), body)


def text_frame(codes: bytes, ends: list[int], words: bytes, *, const: bool = False) -> bytes:
    parts, body = [], b""
    for part in (codes, struct.pack(f"<{len(ends)}I", *ends), words):
        parts.append([len(body), len(part)])
        body += pad(part, b"\0")
    entry = {"type": "text", "dtype": "u1", "parts": parts} | ({"const": True} if const else {})
    return with_column(entry, len(codes), body)


def refused() -> list[tuple[str, str, bytes]]:
    """(why, code, the second frame's bytes); the first frame is always a legal append frame."""
    ok = plain("skip", series=SERIES, first=0, rows=1, reason="r")
    ints = {"type": "int", "dtype": "u1", "parts": [[0, 8]]}
    two = {**ints, "parts": [[0, 2]]}
    six = {**ints, "type": "text", "parts": [[0, 8], [0, 6], [0, 0]]}
    eight = bytes(8)
    deep = b'{"kind":"skip","x":' + b"[" * 40 + b"]" * 40 + b"}"
    malformed = [
        ("wrong magic", b"SVF2" + ok[4:]),
        ("header size not a multiple of 8", raw_frame(b'{"kind":"skip"}', b"")),
        ("body size not a multiple of 8", raw_frame(pad(b'{"kind":"skip"}', b" "), b"1234567")),
        ("truncated body", with_column(ints, 8, eight)[:-8]),
        ("truncated prefix", ok[:12]),
        ("header is not JSON", raw_frame(b"not json", b"")),
        ("header is not UTF-8", raw_frame(pad(b'{"kind":"\xff\xfe"}', b" "), b"")),
        ("header is a list", raw_frame(pad(b'["kind"]', b" "), b"")),
        ("header is too deep", raw_frame(pad(deep, b" "), b"")),
        ("header without a kind", raw_frame(pad(b'{"rows":1}', b" "), b"")),
        ("header longer than 1 MiB", b"SVF1" + struct.pack("<IQ", 2**20 + 8, 0)),
        ("unknown kind", plain("nonsense")),
        ("rows negative", with_column(ints, -1, eight)),
        ("rows above 1,048,576", with_column(ints, 2**20 + 1, eight)),
        ("rows not an integer", with_column(ints, 8.0, eight)),
        ("part outside the body", with_column({**ints, "parts": [[8, 8]]}, 8, eight)),
        ("part at a negative offset", with_column({**ints, "parts": [[-8, 8]]}, 8, eight)),
        ("part not aligned", with_column({**ints, "parts": [[4, 4]]}, 4, eight)),
        ("part too short for its rows", with_column({**ints, "parts": [[0, 7]]}, 8, eight)),
        ("part too long for its rows", with_column(ints, 7, eight)),
        ("constant with two values", with_column({**two, "const": True}, 8, eight)),
        ("two parts for an int", with_column({**ints, "parts": [[0, 8], [0, 0]]}, 8, eight)),
        ("dtype unknown", with_column({**ints, "dtype": "u8"}, 1, eight)),
        ("dtype of another type", with_column({**ints, "dtype": "f8"}, 1, eight)),
        ("type unknown", with_column({**ints, "type": "string"}, 8, eight)),
        ("word ends not a multiple of 4", with_column(six, 8, eight)),
    ]  # fmt: skip
    bool_of_2 = with_column(
        {"type": "bool", "dtype": "u1", "parts": [[0, 2]]}, 2, b"\1\2" + bytes(6)
    )
    illegal = [
        ("a bool of 2", bool_of_2),
        ("a code without a word", text_frame(b"\1", [1], b"a")),
        ("a constant code without a word", text_frame(b"\0", [], b"", const=True)),
        ("a word that is not UTF-8", text_frame(b"\0", [1], b"\xff")),
        ("a word that is cut inside a character", text_frame(b"\0\1", [1, 2], "é".encode())),
        ("a word with a surrogate", text_frame(b"\0", [3], b"\xed\xa0\x80")),
        ("a word with NUL", text_frame(b"\0", [3], b"a\0b")),
    ]
    cases = [(why, "malformed_frame", data) for why, data in malformed]
    return cases + [(why, "illegal_value", data) for why, data in illegal]


MESSAGES = (
    all_dtypes, constants, one_row, odd_words, zero_rows, append_message, data_message,
)  # fmt: skip


def build() -> dict[str, bytes]:
    """File name -> bytes of everything that belongs in golden/."""
    head = plain("append", generation=1, writer=WRITER)
    files: dict[str, bytes] = {}
    described: list[dict[str, Any]] = []
    for make in MESSAGES:
        message = make()
        files[message.file] = message.data
        described.append({"file": message.file, "why": message.why, "frames": message.frames})
    bad = []
    for number, (why, code, data) in enumerate(refused()):
        name = f"refused_{number:02d}.svf"
        files[name] = head + data
        bad.append({"file": name, "why": why, "code": code, "frame": 1})
    index = {"files": described, "refused": bad}
    files["frames.json"] = (json.dumps(index, indent=1, ensure_ascii=True) + "\n").encode()
    return files


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for stale in GOLDEN.glob("*.svf"):
        stale.unlink()
    for name, data in build().items():
        (GOLDEN / name).write_bytes(data)


if __name__ == "__main__":
    main()
