"""What is refused, in which words, and that nothing of it is stored: on every database alike."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import numpy as np
import pytest

from catalog import definitions
from catalog.snapshot import SeriesInfo
from runs import lifecycle
from runs.heads import find_run
from runs.models import Chunk, RunHead
from tests.catalog.kit import Api, refused, store
from tests.runs.kit import (
    MEDIA_TYPE,
    Writer,
    append_frame,
    check_values,
    column,
    columns_of,
    exact_rows,
    read_rows,
    row,
    rows_frame,
    rows_of,
    skip_frame,
)

pytestmark = pytest.mark.django_db


def send(api: Api, writer: Writer, body: bytes) -> Any:
    return named(api.post(f"runs/{writer.run}/append", body, content_type=MEDIA_TYPE))


def named(answer: Any) -> Any:
    """Every append that cannot be taken names its frame or operation."""
    if answer.status_code in (400, 422):
        assert {"frame", "op"} & set(answer.json()), answer.json()
    return answer


def send_json(api: Api, writer: Writer, columns: Any, **frame: Any) -> Any:
    frame = {"series": "training", "first": 0, "columns": columns} | frame
    body = {"generation": 1, "writer": writer.id, "frames": [frame]}
    return named(api.post(f"runs/{writer.run}/append", body))


LEGAL = {"step": [1, 2], "loss": [0.5, 1.5], "note": ["a", "b"], "ok": [True, False]}


@pytest.mark.parametrize(
    ("change", "status", "code", "words", "named"),
    [
        ({"step": [1, 2.5]}, 422, "wrong_type", ["int", "float (2.5)"], "step"),
        ({"step": [1, 2.0]}, 422, "wrong_type", ["int", "float (2.0)"], "step"),
        ({"step": [1, True]}, 422, "wrong_type", ["int", "bool (True)"], "step"),
        ({"step": [1, "x"]}, 422, "wrong_type", ["int", "text ('x')"], "step"),
        ({"step": [1, None]}, 422, "wrong_type", ["int", "null"], "step"),
        ({"step": [1, [2]]}, 422, "wrong_type", ["int", "list"], "step"),
        ({"step": [1, 2**63]}, 422, "illegal_value", ["64 bits"], "step"),
        ({"step": [1, str(2**63)]}, 422, "illegal_value", ["64 bits"], "step"),
        ({"step": [1, -(2**63) - 1]}, 422, "illegal_value", ["64 bits"], "step"),
        ({"step": [1, "٣"]}, 422, "wrong_type", ["int"], "step"),
        ({"loss": [0.5, True]}, 422, "wrong_type", ["float", "bool"], "loss"),
        ({"loss": [0.5, "0.5"]}, 422, "wrong_type", ["float", "text"], "loss"),
        ({"loss": [0.5, "nan"]}, 422, "wrong_type", ["float", "text"], "loss"),
        ({"loss": [0.5, 2**53 + 1]}, 422, "illegal_value", ["2^53"], "loss"),
        ({"note": ["a", 5]}, 422, "illegal_value", ["text", "int"], "note"),
        ({"note": ["a", "b\0c"]}, 422, "illegal_value", ["NUL"], "note"),
        ({"note": ["a", "\ud83d"]}, 422, "illegal_value", ["surrogate"], "note"),
        ({"note": ["a", "x" * (2**20 + 1)]}, 422, "too_long", ["1,048,576"], "note"),
        ({"ok": [True, 1]}, 422, "wrong_type", ["bool", "int"], "ok"),
        ({"ok": [True, "true"]}, 422, "wrong_type", ["bool", "text"], "ok"),
        ({"step": [1, 2, 3]}, 422, "unequal_columns", ["step: 3", "loss: 2"], None),
        ({"step": []}, 422, "unequal_columns", ["step: 0"], None),
        ({"step": None}, 422, "wrong_type", ["null"], "step"),
        ({"extra": [1, 2]}, 422, "unknown_field", ["'extra'"], "extra"),
        ({"\ud800": [1, 2]}, 422, "unknown_field", ["ud800"], None),
        ({"a\0b": [1, 2]}, 422, "unknown_field", ["has no field"], None),
    ],
)
def test_an_illegal_value_refuses_the_whole_json_append(
    api: Api,
    writer: Writer,
    training: SeriesInfo,
    change: dict[str, Any],
    status: int,
    code: str,
    words: list[str],
    named: str | None,
) -> None:
    before = store()
    body = refused(send_json(api, writer, LEGAL | change), status, code, *words)
    assert body["frame"] == 1
    assert body["series"] == "training"
    if named:
        assert body["field"] == named
    assert store() == before


@pytest.mark.parametrize("lacking", ["step", "note"])
def test_a_missing_field_is_named(
    api: Api, writer: Writer, training: SeriesInfo, lacking: str
) -> None:
    before = store()
    columns = {name: values for name, values in LEGAL.items() if name != lacking}
    body = refused(send_json(api, writer, columns), 422, "missing_field", lacking, "all its fields")
    assert (body["field"], body["series"], body["frame"]) == (lacking, "training", 1)
    assert store() == before


def test_a_field_by_name_and_by_handle_is_doubled(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    columns = LEGAL | {training.fields[0].handle: [1, 2]}
    refused(send_json(api, writer, columns), 422, "doubled_field", "'step' twice")


@pytest.mark.parametrize("rows", [1, 3, 0])
def test_rows_that_are_not_as_many_as_announced_are_refused(
    api: Api, writer: Writer, training: SeriesInfo, rows: int
) -> None:
    refused(send_json(api, writer, LEGAL, rows=rows), 422, "unequal_columns", f"rows: {rows}")


@pytest.mark.parametrize("rows", [-1, 1.5, True, "x", [1], 2**53])
def test_a_number_of_rows_that_is_none_is_malformed(
    api: Api, writer: Writer, training: SeriesInfo, rows: Any
) -> None:
    refused(send_json(api, writer, LEGAL, rows=rows), 400, "malformed_frame", "rows")


def test_too_many_rows_in_a_frame_are_too_large(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    constant = {"step": 1, "loss": 1, "note": "", "ok": True}
    body = refused(send_json(api, writer, constant, rows=2**20 + 1), 413, "too_many_rows")
    assert body["limit"] == 2**20


@pytest.mark.parametrize("series", ["nope", "\ud800", "a\0b", 5, None, ["training"], "x" * 2_000])
def test_an_unknown_or_illegal_series_is_refused(
    api: Api, writer: Writer, training: SeriesInfo, series: Any
) -> None:
    before = store()
    answer = send_json(api, writer, LEGAL, series=series)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("unknown_series", "illegal_value", "too_long")
    assert answer.json()["frame"] == 1
    assert store() == before


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"[1]", 400, "malformed_json", "not an object"),
        (b"5", 400, "malformed_json", "not an object"),
        (b'"x"', 400, "malformed_json", "not an object"),
        (b"null", 400, "malformed_json", "not an object"),
        (b"{", 400, "malformed_json", "at character 1"),
        (b"\xff\xfe", 400, "malformed_json", "UTF-8"),
        (b'{"values": ' + b"[" * 2_000 + b"]" * 2_000 + b"}", 400, "malformed_json", "nested"),
        (b'{"values": ' + b"[" * 100_000, 400, "malformed_json", ""),
        (b'{"values": ' + b'{"a":' * 40 + b"1" + b"}" * 41, 400, "malformed_json", "32 levels"),
        (b'{"values": {"lr": NaN}}', 400, "malformed_json", '"NaN"'),
        (b'{"values": {"lr": -Infinity}}', 400, "malformed_json", '"-Infinity"'),
        (b'{"values": {"lr": 1e999}}', 422, "illegal_value", "beyond float64"),
        (b'{"values": {"lr": -1e999}}', 422, "illegal_value", "beyond float64"),
        (b'{"values": {"seed": ' + b"9" * 5_000 + b"}}", 400, "malformed_json", ""),
        (b'{"values": {"seed": 9223372036854775808}}', 422, "illegal_value", "64 bits"),
        (b'{"values": {"seed": true}}', 422, "wrong_type", "bool (True)"),
        (b'{"values": {"seed": 1.5}}', 422, "wrong_type", "float (1.5)"),
        (b'{"values": {"lr": 9007199254740993}}', 422, "illegal_value", "2^53"),
        (b'{"values": {"who": "a\\u0000b"}}', 422, "illegal_value", "NUL"),
        (b'{"values": {"who": "\\ud83d"}}', 422, "illegal_value", "surrogate"),
        (b'{"values": {"who": "' + b"x" * 2_001 + b'"}}', 422, "too_long", "2,000"),
        (b'{"values": {"nope": 1, "\\u0000": 2}}', 422, "illegal_value", "NUL"),
        (b'{"values": {"nope": 1, "neither": 2}}', 422, "unknown_field", "'nope', 'neither'"),
        (b'{"values": {"seed": 1}, "more": 1}', 422, "unknown_key", "'more'"),
        (b'{"values": [1]}', 422, "wrong_type", "object"),
        (b"", 422, "missing_key", "'values'"),
    ],
)
def test_a_bad_body_of_any_call_is_refused_in_words(
    api: Api, run: str, body: bytes, status: int, code: str, words: str
) -> None:
    for name, data_type in (("lr", "float"), ("seed", "int"), ("who", "text")):
        definitions.create_field(name=name, data_type=data_type)
    before = store()
    refused(api.post(f"runs/{run}/attributes", body), status, code, words)
    assert store() == before


def test_depth_is_counted_and_brackets_in_texts_are_not(api: Api, run: str) -> None:
    definitions.create_field(name="who", data_type="text")
    text = '[{"[' * 300
    assert api.post(f"runs/{run}/attributes", {"values": {"who": text}}).status_code == 200
    deep: Any = 1
    for _ in range(30):
        deep = [deep]
    refused(api.post(f"runs/{run}/attributes", {"values": {"who": deep}}), 422, "illegal_value")
    deep = [[deep]]
    answer = api.post(f"runs/{run}/attributes", {"values": {"who": deep}})
    refused(answer, 400, "malformed_json", "32 levels")


def test_every_fault_of_several_attributes_is_listed_and_none_is_set(api: Api, run: str) -> None:
    for name, data_type in (("lr", "float"), ("seed", "int"), ("who", "text")):
        definitions.create_field(name=name, data_type=data_type)
    before = store()
    values = {"lr": 0.1, "seed": 0.5, "who": 3}
    body = refused(
        api.post(f"runs/{run}/attributes", {"values": values}),
        422,
        "illegal_values",
        "None was set",
    )
    assert [fault["field"] for fault in body["errors"]] == ["seed", "who"]
    assert store() == before


def test_an_attribute_given_by_name_and_handle_at_once_is_refused(api: Api, run: str) -> None:
    field = definitions.create_field(name="lr", data_type="float")
    values = {"lr": 1, str(field.handle): 2}
    refused(api.post(f"runs/{run}/attributes", {"values": values}), 422, "doubled_field", "lr")


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ("x", "wrong_type"),
        (None, "wrong_type"),
        ({"a": 1}, "wrong_type"),
        (["ok", ""], "illegal_value"),
        (["ok", " \n"], "illegal_value"),
        (["ok", 1], "illegal_value"),
        (["ok", "a\0"], "illegal_value"),
        (["ok", "\udc00"], "illegal_value"),
        (["ok", "x" * 201], "too_long"),
        ([str(number) for number in range(257)], "too_many"),
        ([str(number) for number in range(60_000)], "too_many"),
    ],
)
def test_illegal_tags_are_refused_whole(api: Api, run: str, tags: Any, code: str) -> None:
    before = store()
    refused(api.post(f"runs/{run}/tags", {"tags": tags}), 422, code)
    assert store() == before


def test_a_run_has_at_most_256_tags(api: Api, run: str) -> None:
    tags = [str(number) for number in range(256)]
    assert api.post(f"runs/{run}/tags", {"tags": tags}).json() == {"added": 256}
    assert api.post(f"runs/{run}/tags", {"tags": tags}).json() == {"added": 0}
    assert refused(api.post(f"runs/{run}/tags", {"tags": ["x"]}), 422, "too_many")["limit"] == 256


# Frames


def good_frame(training: SeriesInfo) -> bytes:
    rows = rows_of(1, 2, 3)
    return rows_frame(training, 0, columns_of(training, rows), check_values(training, rows))


def test_a_truncated_message_is_malformed_wherever_it_ends(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    head = writer.message()
    whole = head + good_frame(training)
    before = _rows()
    for length in range(len(whole)):
        if length != len(head):
            refused(send(api, writer, whole[:length]), 400, "malformed_frame")
    assert _rows() == before
    refused(send(api, writer, whole + b"\0" * 8), 400, "malformed_frame")
    refused(send(api, writer, whole + b"SVF1"), 400, "malformed_frame")
    assert send(api, writer, whole).status_code == 200


def _rows() -> list[Any]:
    return list(Chunk.objects.values_list("pk", "rows"))


def _header_of(frame: bytes) -> tuple[dict[str, Any], bytes]:
    size = struct.unpack_from("<I", frame, 4)[0]
    return json.loads(frame[16 : 16 + size]), frame[16 + size :]


def _frame(header: bytes, body: bytes) -> bytes:
    header += b" " * (-len(header) % 8)
    return struct.pack("<4sIQ", b"SVF1", len(header), len(body)) + header + body


def _set(*path: Any, to: Any) -> Any:
    def change(header: dict[str, Any]) -> None:
        place: Any = header
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (_set("kind", to="data"), 400, "malformed_frame"),
        (_set("kind", to=None), 400, "malformed_frame"),
        (_set("kind", to=["rows"]), 400, "malformed_frame"),
        (_set("kind", to="append"), 400, "malformed_frame"),
        (_set("rows", to=-1), 400, "malformed_frame"),
        (_set("rows", to=2.0), 400, "malformed_frame"),
        (_set("rows", to=True), 400, "malformed_frame"),
        (_set("rows", to="3"), 400, "malformed_frame"),
        (_set("rows", to=4), 400, "malformed_frame"),
        (_set("rows", to=0), 400, "malformed_frame"),
        (_set("rows", to=2**20 + 1), 413, "too_many_rows"),
        (_set("first", to=-1), 400, "malformed_frame"),
        (_set("first", to=2**63), 400, "malformed_frame"),
        (_set("first", to=None), 400, "malformed_frame"),
        (_set("first", to=1), 409, "gap"),
        (_set("series", to="00000000-0000-0000-0000-000000000000"), 422, "unknown_series"),
        (_set("series", to=None), 422, "illegal_value"),
        (_set("columns", to=None), 400, "malformed_frame"),
        (_set("columns", to=[]), 422, "missing_field"),
        (_set("columns", to=[1]), 400, "malformed_frame"),
        (_set("columns", 0, "type", to=["int"]), 400, "malformed_frame"),
        (_set("columns", 0, "type", to="float"), 400, "malformed_frame"),
        (_set("columns", 0, "dtype", to="u8"), 400, "malformed_frame"),
        (_set("columns", 0, "dtype", to={"a": 1}), 400, "malformed_frame"),
        (_set("columns", 0, "dtype", to="i4"), 400, "malformed_frame"),
        (_set("columns", 0, "const", to=1), 400, "malformed_frame"),
        (_set("columns", 0, "const", to=True), 400, "malformed_frame"),
        (_set("columns", 0, "parts", to=[[0, 24], [24, 8]]), 400, "malformed_frame"),
        (_set("columns", 0, "parts", to=[[4, 24]]), 400, "malformed_frame"),
        (_set("columns", 0, "parts", to=[[-8, 24]]), 400, "malformed_frame"),
        (_set("columns", 0, "parts", to=[[0, 2**62]]), 400, "malformed_frame"),
        (_set("columns", 0, "parts", to=[[10**30, 24]]), 400, "malformed_frame"),
        (_set("columns", 0, "parts", to=[["0", 24]]), 400, "malformed_frame"),
        (_set("columns", 0, "parts", to=[24]), 400, "malformed_frame"),
        (_set("columns", 0, "field", to="nope"), 422, "unknown_field"),
        (_set("columns", 0, "field", to="\ud800"), 422, "unknown_field"),
        (_set("columns", 0, "field", to=None), 422, "unknown_field"),
        (_set("columns", 0, "crc", to=-1), 400, "malformed_frame"),
        (_set("columns", 0, "crc", to=None), 400, "malformed_frame"),
        (_set("columns", 0, "crc", to=2**32), 400, "malformed_frame"),
        (_set("columns", 0, "crc", to=7), 409, "diverged"),
    ],
)
def test_a_header_that_does_not_describe_its_body_is_refused(
    api: Api, writer: Writer, training: SeriesInfo, change: Any, status: int, code: str
) -> None:
    before = store()
    header, body = _header_of(good_frame(training))
    change(header)
    whole = writer.message(_frame(json.dumps(header).encode(), body))
    answer = refused(send(api, writer, whole), status, code)
    assert answer["frame"] == 1
    assert store() == before


@pytest.mark.parametrize(
    ("data_type", "values", "dtype", "code"),
    [
        ("float", [1.0, 2.0, 3.0], "<f8", "wrong_type"),
        ("bool", [1, 0, 1], "<u1", "wrong_type"),
        ("text", ["1", "2", "3"], "<u4", "wrong_type"),
    ],
)
def test_a_column_of_another_type_is_refused_and_named(
    api: Api,
    writer: Writer,
    training: SeriesInfo,
    data_type: str,
    values: Any,
    dtype: str,
    code: str,
) -> None:
    columns = columns_of(training, rows_of(1, 2, 3))
    columns[0] = column(data_type, values, dtype)
    answer = send(api, writer, writer.message(rows_frame(training, 0, columns)))
    body = refused(answer, 422, code, "'step'", f"not {data_type}")
    assert (body["series"], body["field"], body["frame"]) == ("training", "step", 1)


def _with_words(words: list[bytes], codes: list[int]) -> Any:
    from runs.frames import Column

    return Column("text", len(codes), np.array(codes, dtype="<u4"), words=tuple(words))


@pytest.mark.parametrize(
    ("words", "codes", "reason"),
    [
        ([b"a\0"], [0], "NUL"),
        ([b"\xff"], [0], "Unicode"),
        ([b"\xed\xa0\x80"], [0], "Unicode"),
        ([b"\xc0\x80"], [0], "Unicode"),
        ([b"x" * (2**20 + 1)], [0], "1,048,576"),
        ([b"a"], [1], "no word"),
        ([], [0], "no word"),
        ([b"a"], [2**32 - 1], "no word"),
    ],
)
def test_an_illegal_text_in_a_frame_is_refused(
    api: Api,
    writer: Writer,
    training: SeriesInfo,
    words: list[bytes],
    codes: list[int],
    reason: str,
) -> None:
    before = store()
    columns = columns_of(training, [row(1)])
    columns[2] = _with_words(words, codes)
    answer = send(api, writer, writer.message(rows_frame(training, 0, columns)))
    body = refused(answer, 422, "illegal_value", "'note'", reason)
    assert (body["series"], body["field"], body["frame"]) == ("training", "note", 1)
    assert store() == before


def test_a_bool_that_is_neither_0_nor_1_is_refused(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    columns = columns_of(training, [row(1)])
    columns[3] = column("bool", [2])
    answer = send(api, writer, writer.message(rows_frame(training, 0, columns)))
    refused(answer, 422, "illegal_value", "'ok'", "0 nor 1")


def test_an_infinite_number_in_a_headers_operation_is_refused(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    header = (
        '{"kind":"append","generation":1,"writer":"WRITER","meta":{"first":0,"ops":'
        '[{"op":"set_attributes","values":{"loss":1e999}}]}}'
    ).replace("WRITER", writer.id)
    before = store()
    refused(send(api, writer, _frame(header.encode(), b"")), 422, "illegal_value", "float64")
    refused(
        send(api, writer, _frame(header.replace("1e999", "NaN").encode(), b"")),
        400,
        "malformed_frame",
        "NaN",
    )
    deep = header.replace("1e999", "[" * 40 + "]" * 40)
    refused(send(api, writer, _frame(deep.encode(), b"")), 400, "malformed_frame", "32 levels")
    assert store() == before


def test_an_empty_body_and_a_first_frame_of_another_kind_are_malformed(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    refused(send(api, writer, b""), 400, "malformed_frame")
    refused(api.post(f"runs/{writer.run}/append"), 400, "malformed_frame")
    refused(send(api, writer, good_frame(training)), 400, "malformed_frame", "append")
    refused(send(api, writer, writer.message(writer.message())), 400, "malformed_frame", "second")
    refused(send(api, writer, append_frame(1, writer.id, {"ops": []})), 400, "malformed_frame")
    refused(
        send(api, writer, append_frame(1, writer.id, {"first": 0, "ops": [1]})),
        400,
        "malformed_frame",
    )


def test_more_than_1000_frames_are_too_many(api: Api, writer: Writer, training: SeriesInfo) -> None:
    empty = rows_frame(training, 0, columns_of(training, []))
    assert send(api, writer, writer.message(*[empty] * 1_000)).status_code == 200
    body = refused(send(api, writer, writer.message(*[empty] * 1_001)), 413, "too_many_frames")
    assert body["limit"] == 1_000


def test_a_small_request_cannot_ask_for_hours_of_work(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    constant = {"step": 1, "loss": 1, "note": "x" * 1_000, "ok": True}
    before = store()
    answer = send_json(api, writer, constant, rows=2**20)
    refused(answer, 413, "too_large", "256 MiB", "fewer rows")
    assert store() == before


def test_a_reason_is_refused_when_too_long_and_never_cut(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    answer = send(api, writer, writer.message(skip_frame(training, 0, 1, "x" * 501)))
    refused(answer, 422, "too_long", "500")
    assert (
        send(api, writer, writer.message(skip_frame(training, 0, 1, "é" * 500))).status_code == 200
    )


@pytest.mark.parametrize(
    "skip",
    [{"rows": 0}, {"rows": -1}, {"rows": 1.0}, {"first": None}, {"series": 1}, {"reason": 1}],
)
def test_an_illegal_skip_is_refused(
    api: Api, writer: Writer, training: SeriesInfo, skip: dict[str, Any]
) -> None:
    whole = {"series": "training", "first": 0, "rows": 1, "reason": ""} | skip
    body = {"generation": 1, "writer": writer.id, "frames": [{"skip": whole}]}
    before = store()
    assert named(api.post(f"runs/{writer.run}/append", body)).status_code in (400, 422)
    assert store() == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"frames": {}}, 400),
        ({"frames": [1]}, 400),
        ({"frames": [{}]}, 400),
        ({"frame": []}, 422),
        ({"frames": [{"series": "training", "first": 0, "columns": {}, "crcs": {}}]}, 400),
        ({"meta": 5}, 400),
        ({"meta": {"first": 0, "ops": {}}}, 400),
        ({"generation": "x"}, 400),
        ({"generation": None}, 400),
        ({"writer": None}, 422),
    ],
)
def test_a_json_append_of_another_form_is_refused(
    api: Api, writer: Writer, training: SeriesInfo, body: dict[str, Any], status: int
) -> None:
    whole = {"generation": 1, "writer": writer.id} | body
    before = store()
    assert named(api.post(f"runs/{writer.run}/append", whole)).status_code == status
    assert store() == before


def test_thousands_of_hostile_messages_never_make_the_server_fail(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    chance = random.Random(20_260)
    writer.log_rows(training, rows_of(*range(5)))
    message = writer.message(
        rows_frame(training, 5, columns_of(training, rows_of(*range(40)))),
        skip_frame(training, 45, 2),
        meta={"first": 0, "ops": [{"op": "add_tags", "tags": ["a"]}]},
    )
    statuses: dict[int, int] = {}
    for _ in range(3_000):
        answer = send(api, writer, _mangled(message, chance))
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code < 500, answer.content
    assert statuses.get(400, 0) > 1_000, statuses
    _assert_consistent(writer, training)
    assert read_rows(writer.run, training)[:5] == exact_rows(rows_of(*range(5)))


def _mangled(message: bytes, chance: random.Random) -> bytes:
    broken = bytearray(message)
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return bytes(broken[: chance.randrange(len(broken))])
    if kind == 2:  # digits and letters of the headers
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(broken))
            broken[place] = chance.choice(b'0123456789-"[]{}:,etrufalsn. ')
        return bytes(broken)
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(broken))
        broken[place] ^= 1 << chance.randrange(8)
    if kind == 4:
        start, end = sorted(chance.randrange(len(broken)) for _ in range(2))
        del broken[start : end // 8 * 8]
    return bytes(broken)


def _assert_consistent(writer: Writer, series: SeriesInfo) -> None:
    at = 0
    chunks = Chunk.objects.filter(run__handle=writer.run, generation=1).order_by("first_row")
    for first_row, rows in chunks.values_list("first_row", "rows"):
        assert first_row == at
        at += rows
    assert len(read_rows(writer.run, series)) == at
    assert RunHead.objects.get(run__handle=writer.run).generation == 1
    lifecycle.delete_run(find_run(writer.run))
