"""Requests with values that databases, JSON and Python's types disagree about, as raw bytes.

One list for every database, so that the answers can be compared.
"""

# ruff: noqa: UP031 - in JSON, every brace would have to be doubled
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

RUN = "7a3c0000-0000-4000-8000-000000000001"
OTHER = "7a3c0000-0000-4000-8000-000000000002"

# JSON as it is written, for a value of any type.
TOKENS = [
    "0",
    "-0",
    "-0.0",
    "0.0",
    "1",
    "1.0",
    "1.5",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[1]",
    '"x"',
    '""',
    '" "',
    '"1"',
    '"true"',
    '"NaN"',
    '"nan"',
    '"Infinity"',
    '"-Infinity"',
    '"inf"',
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "1e308",
    "1.7976931348623157e308",
    "5e-324",
    "1e-400",
    "2.2250738585072011e-308",
    "0.1",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    '"9223372036854775807"',
    '"-9223372036854775808"',
    '"9223372036854775808"',
    '"+1"',
    '"01"',
    '"1_000"',
    '"\\u0661"',
    "9" * 400,
    "9" * 5_000,
    '"a\\u0000b"',
    '"\\ud83d"',
    '"\\udc00\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u00e9"',
    '"e\\u0301"',
    '"\\u202eabc"',
    '"\\ufeff"',
    '"\\uffff"',
    '"%s"' % ("x" * 2_000),
    '"%s"' % ("x" * 2_001),
    '"%s"' % ("é" * 1_000),
    '"%s"' % ("é" * 1_001),
    "[" * 2_000 + "]" * 2_000,
    '{"a":' * 40 + "1" + "}" * 40,
]
# Bodies that are no object of the kind asked for, or no JSON.
BODIES = [
    b"",
    b"[]",
    b"[1, 2]",
    b"5",
    b'"x"',
    b"null",
    b"{",
    b"{}",
    b"{}x",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    '{"filter": null}'.encode("utf-16"),
    b'{"a": 1, "a": 2}',
    b'{"\\u0000": 1}',
    b'{"\\ud800": 1}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
]
TEXTS = [json.loads(token) for token in TOKENS if token.startswith('"')] + ["x" * 200, "x" * 201]
FIELDS = {"int": "whole", "float": "real", "text": "words", "bool": "flag"}
TIMES = [
    "now",
    "0001-01-01",
    "9999-12-31T23:59:59.999999Z",
    "10000-01-01",
    "2024-02-30",
    "2024-01-01T00:00:00+99:99",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "1 second ago",
    "999999 years ago",
    "99999999999999999999 days ago",
    "-1 days ago",
    "",
    "a\0b",
    "\ud800",
    "٣ days ago",
]


@dataclass(frozen=True)
class Ask:
    method: str
    path: str
    body: bytes = b""
    accept: str = "application/json"


def _post(path: str, body: str | bytes, accept: str = "application/json") -> Ask:
    raw = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return Ask("POST", path, raw, accept)


def everything() -> Iterator[Ask]:
    yield from prepare()
    yield from in_bodies()
    yield from in_names()
    yield from in_attributes()
    yield from in_rows()
    yield from in_filters()
    yield from in_queries()
    yield from in_addresses()


def prepare() -> Iterator[Ask]:
    fields = json.dumps({name: data_type for data_type, name in FIELDS.items()})
    yield _post("series/ensure", '{"name": "torture", "fields": %s}' % fields)
    for number, run in enumerate((RUN, OTHER)):
        nonce = f"{number:032x}"
        yield _post(f"runs/{run}/open", '{"replace": false, "nonce": "%s"}' % nonce)


def in_bodies() -> Iterator[Ask]:
    paths = ["fields/", "series/", "series/ensure", "runs/", "runs/search/", "runs/common/"]
    paths += ["runs/tags/", "data/", "overview/", "density/", "statistics/"]
    paths += [f"runs/{RUN}/{name}" for name in ("open", "append", "attributes", "tags")]
    for path in paths:
        for body in BODIES:
            if not (path == "runs/" and body in (b"", b"{}")):  # makes a run with a random handle
                yield _post(path, body)


def in_names() -> Iterator[Ask]:
    for token in TOKENS:
        yield _post("fields/", '{"name": %s, "data_type": "int"}' % token)
        yield _post("fields/", '{"name": "f", "data_type": %s}' % token)
        for key in ("description", "unit"):
            yield _post(
                "fields/ensure",
                '{"name": "described", "data_type": "int", "%s": %s}' % (key, token),
            )
        yield _post("series/", '{"name": %s, "fields": ["whole"]}' % token)
        yield _post("series/", '{"name": "s", "fields": %s}' % token)
        yield _post("series/ensure", '{"name": "s", "fields": [%s]}' % token)
        yield _post(f"runs/{RUN}/tags", '{"tags": [%s]}' % token)
        yield _post(f"runs/{OTHER}/open", '{"replace": %s, "nonce": "%032x"}' % (token, 99))
        yield _post(f"runs/{OTHER}/open", '{"replace": false, "nonce": %s}' % token)
    yield Ask("GET", f"runs/{RUN}/")
    yield Ask("GET", "tags/")
    yield Ask("GET", "fields/?limit=1000")


def in_attributes() -> Iterator[Ask]:
    for name in FIELDS.values():
        for token in TOKENS:
            yield _post(f"runs/{RUN}/attributes", '{"values": {"%s": %s}}' % (name, token))
            yield Ask("GET", f"runs/{RUN}/")


def in_rows() -> Iterator[Ask]:
    """Each token in each column, then all rows as a reader gets them."""
    legal = {"whole": "0", "real": "0.5", "words": '"w"', "flag": "true"}
    for number, name in enumerate(FIELDS.values()):
        for place, token in enumerate(TOKENS):
            columns = ", ".join(
                f'"{key}": [{token if key == name else value}]' for key, value in legal.items()
            )
            writer = f"{number * 1_000 + place:032x}"
            frame = '{"series": "torture", "first": 0, "columns": {%s}}' % columns
            yield _post(
                f"runs/{RUN}/append",
                '{"generation": 1, "writer": "%s", "frames": [%s]}' % (writer, frame),
            )
    for accept in ("application/json", "text/csv", "application/vnd.streamvis.frames"):
        yield _post("data/", '{"series": "torture"}', accept)


def in_filters() -> Iterator[Ask]:
    for token in TOKENS:
        for name in FIELDS.values():
            for key in ("min", "max", "max_open", "min_open"):
                yield _search('{"attributes": [{"field": "%s", "%s": %s}]}' % (name, key, token))
            yield _search('{"attributes": [{"field": "%s", "values": [%s]}]}' % (name, token))
        for shape in (
            '{"handles": [%s]}',
            '{"tags": {"all": [%s]}}',
            '{"not_tags": {"any": [%s]}}',
            '{"attributes": [{"field": %s}]}',
            '{"attributes": %s}',
            '{"series": [%s]}',
            '{"owner": [%s]}',
            '{"state": [%s]}',
            '{"with_rows": %s}',
            '{"started_at": {"min": %s}}',
            "%s",
        ):
            yield _search(shape % token)
        yield _post("runs/search/", '{"limit": %s}' % token)
        yield _post("runs/search/", '{"cursor": %s}' % token)
    for time in TIMES:
        if time not in ("now", "1 second ago"):
            yield _search('{"started_at": {"min": %s}}' % json.dumps(time))
            yield _search('{"started_at": {"max": %s}}' % json.dumps(time))


def _search(run_filter: str) -> Ask:
    return _post("runs/search/", '{"filter": %s}' % run_filter)


def in_queries() -> Iterator[Ask]:
    overview = '{"series": "torture", "x": "whole", "y": "real", "columns": 4, "range": %s}'
    density = '{"series": "torture", "x": "real", "y": "whole", "width": 2, "height": 2, %s}'
    for token in TOKENS:
        for pair in (f"[{token}, 1e300]", f"[-1e300, {token}]", f"[{token}, {token}]", token):
            yield _post("overview/", overview % pair)
            yield _post("density/", density % f'"x_range": {pair}')
        for key in ("columns", "x", "y", "series"):
            body = {"series": "torture", "x": "whole", "y": "real", "columns": 4}
            yield _post("overview/", _with(body, key, token))
        for key in ("cursor", "max_rows", "fields", "attributes", "window", "series"):
            yield _post("data/", _with({"series": "torture"}, key, token))
        for key in ("size", "stride", "order", "group"):
            window = _with({"size": 2, "stride": 1}, key, token)
            yield _post("data/", '{"series": "torture", "window": %s}' % window)
        yield _post("data/", '{"series": "torture", "cursor": {"%s": [1, %s]}}' % (RUN, token))
        yield _post("data/", '{"series": "torture", "cursor": {"%s": [%s, 0]}}' % (RUN, token))
        for key in ("quantiles", "align", "group", "per_run"):
            body = {"series": "torture", "x": "whole", "y": "real"}
            yield _post("statistics/", _with(body, key, token))
        bins = '{"kind": "bins", "count": %s}' % token
        yield _post(
            "statistics/", '{"series": "torture", "x": "real", "y": "whole", "align": %s}' % bins
        )


def _with(body: dict[str, object], key: str, token: str) -> str:
    """The body with a key as this JSON writes it."""
    rest = json.dumps({name: value for name, value in body.items() if name != key})
    return "{%s%s}" % (f'"{key}": {token}', f", {rest[1:-1]}" if rest != "{}" else "")


def in_addresses() -> Iterator[Ask]:
    for text in TEXTS:
        part = quote(text.encode("utf-8", "surrogatepass"), safe="")
        if not part or len(part) > 2_000:
            continue
        for path in (f"runs/{part}/", f"fields/{part}/", f"series/{part}/"):
            yield Ask("GET", path)
        yield Ask("GET", f"runs/{part}/cursors?writer={'0' * 32}")
        yield Ask("GET", f"runs/{RUN}/cursors?writer={part}")
        yield Ask("DELETE", f"runs/{RUN}/attributes/{part}")
        for query in ("name", "cursor", "limit"):
            yield Ask("GET", f"fields/?{query}={part}")
    for limit in ("0", "-1", "1", "1000", "1001", "1e3", "9" * 500, "%D9%A1", "1%00"):
        yield Ask("GET", f"tags/?limit={limit}")
