"""Arrow, Parquet and CSV: the same rows as frames (docs/formats/columns.md)."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from asgiref.sync import sync_to_async
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import ipc

from accounts.models import User
from plotting import arrow, csv_text, exports, tables
from plotting.datasets import Dataset
from plotting.exports import ARROW, CSV, FORMATS, PARQUET, Format
from runs import columns, reaping
from tests.factories import Script, make_series
from tests.plotting.exported import (
    EVERY,
    EXTREMES,
    FORMULAS,
    TYPES,
    bits,
    collect,
    csv_records,
    export,
    frame_rows,
    make_world,
    read_arrow,
    read_parquet,
    rows_of,
    same,
    snapshot,
    table_rows,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(columns, "PAGE_ROWS", 9)
    yield


@EVERY
@pytest.mark.usefixtures("small_pages")
async def test_every_format_has_the_rows_of_frames_bit_for_bit(alice: User, form: Format) -> None:
    await sync_to_async(make_world)(alice)
    expected = await frame_rows(alice)
    assert len(expected) == 4 * 7
    types = ("text", *TYPES.values())
    assert same(await rows_of(alice, form, *types)) == same(expected)


@EVERY
async def test_how_rows_are_cut_never_shows(
    alice: User, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_to_async(make_world)(alice)
    expected = await frame_rows(alice)
    monkeypatch.setattr(arrow, "GROUP_ROWS", 3)
    for size in (1, 100, 250):
        monkeypatch.setitem(form.__dict__, "slice_bytes", size)
        assert same(await rows_of(alice, form, "text", *TYPES.values())) == same(expected)


@EVERY
async def test_one_field_of_one_run(alice: User, form: Format) -> None:
    _, _, script, *_ = await sync_to_async(make_world)(alice)
    asked: dict[str, Any] = {"fields": ["f"], "filter": {"handles": [script.run]}}
    expected = [(script.run, value) for value in [*EXTREMES["f"], 2 / 7]]
    assert same(await rows_of(alice, form, "text", "float", **asked)) == same(expected)


@EVERY
async def test_no_rows_are_a_table_without_rows(alice: User, form: Format) -> None:
    await sync_to_async(make_series)("all", **TYPES)
    data = await export(alice, form)
    if form is CSV:
        assert data == b'"run","i","f","t","b"\r\n'
    else:
        table = read_arrow(data) if form is ARROW else read_parquet(data)
        assert (table.num_rows, table.column_names) == (0, ["run", "i", "f", "t", "b"])


def give_attributes(owner: User) -> list[Script]:
    make_series("other", lr="float", label="text", seed="int", good="bool", nobody="text")
    scripts = make_world(owner, runs=3)
    given = {"lr": "NaN", "label": "", "seed": str(2**63 - 1), "good": False}
    scripts[2].say({"op": "set_attributes", "values": given})
    return scripts


ATTRIBUTES = ["lr", "label", "seed", "good", "nobody"]


@pytest.mark.parametrize("form", [ARROW, PARQUET], ids=["arrow", "parquet"])
async def test_attributes_are_repeated_and_null_where_a_run_lacks_them(
    alice: User, form: Format
) -> None:
    first, _, third = await sync_to_async(give_attributes)(alice)
    data = await export(alice, form, fields=["i"], attributes=ATTRIBUTES)
    table = read_arrow(data) if form is ARROW else read_parquet(data)
    rows = table_rows(table)
    assert {row[2:] for row in rows if row[0] == first.run} == {(None,) * 5}
    told = {tuple(map(bits, row[2:])) for row in rows if row[0] == third.run}
    assert told == {tuple(map(bits, (math.nan, "", 2**63 - 1, False, None)))}
    nullable = {field.name for field in table.schema if field.nullable}
    assert nullable == set(ATTRIBUTES)


async def test_csv_tells_a_missing_attribute_from_an_empty_text(alice: User) -> None:
    first, _, third = await sync_to_async(give_attributes)(alice)
    data = await export(alice, CSV, fields=["b"], attributes=ATTRIBUTES)
    lines = data.split(b"\r\n")
    assert f'"{first.run}",true,,,,,'.encode() in lines
    assert f'"{third.run}",true,nan,"",9223372036854775807,false,'.encode() in lines


@EVERY
async def test_an_attribute_of_a_taken_name_gives_way(alice: User, form: Format) -> None:
    def world() -> None:
        make_series("all", run="int", lr="float")
        script = Script(alice).open()
        script.write("all", run=[7], lr=[0.5])
        script.say({"op": "set_attributes", "values": {"run": 8, "lr": 0.25}})

    await sync_to_async(world)()
    data = await export(alice, form, attributes=["lr", "run"])
    if form is CSV:
        names, row = csv_records(data)
    else:
        table = read_arrow(data) if form is ARROW else read_parquet(data)
        names, row = table.column_names, [str(value) for value in table_rows(table)[0]]
    assert names == ["run_", "run", "lr", "lr_", "run__"]
    assert row[1:] == ["7", "0.5", "0.25", "8"]


@pytest.mark.parametrize("form", [ARROW, PARQUET], ids=["arrow", "parquet"])
async def test_the_schema_says_what_the_columns_are(alice: User, form: Format) -> None:
    def world() -> dict[str, str]:
        from catalog.definitions import update_field
        from catalog.models import Field

        give_attributes(alice)
        update_field(Field.objects.get(name="f"), {"unit": "m/s"})
        return {field.name: str(field.handle) for field in Field.objects.all()}

    handles = await sync_to_async(world)()
    data = await export(alice, form, attributes=["label"])
    schema = (read_arrow(data) if form is ARROW else read_parquet(data)).schema
    assert schema.metadata[b"streamvis.series_name"] == b"all"
    kept = schema.field("f").metadata
    assert (kept[b"streamvis.role"], kept[b"streamvis.unit"]) == (b"field", b"m/s")
    assert kept[b"streamvis.field"].decode() == handles["f"]
    assert schema.field("label").metadata[b"streamvis.role"] == b"attribute"
    dictionary = pa.dictionary(pa.int32(), pa.utf8())
    assert schema.types == [
        dictionary,
        pa.int64(),
        pa.float64(),
        pa.utf8(),
        pa.bool_(),
        dictionary,
    ]


async def test_formulas_are_neutralised_in_texts_alone(alice: User) -> None:
    def world() -> None:
        make_series("all", **{"=t": "text", "i": "int", "f": "float"})
        script = Script(alice).open()
        harmless = ["'x", " =1", "a=1", ""]
        texts = [*FORMULAS, *harmless]
        numbers = [-1] * len(texts)
        script.write("all", **{"=t": texts, "i": numbers, "f": [-0.5] * len(texts)})
        make_series("other", note="text", less="int")
        script.say({"op": "set_attributes", "values": {"note": "=1", "less": -3}})

    await sync_to_async(world)()
    asked = {"attributes": ["note", "less"]}
    head, *rows = csv_records(await export(alice, CSV, **asked))
    assert head[1:] == ["'=t", "i", "f", "note", "less"]
    assert [row[1] for row in rows[:6]] == [f"'{text}" for text in FORMULAS]
    assert [row[1] for row in rows[6:]] == ["'x", " =1", "a=1", ""]
    assert {tuple(row[2:]) for row in rows} == {("-1", "-0.5", "'=1", "-3")}
    [*_, last] = table_rows(read_arrow(await export(alice, ARROW, **asked)))
    assert last[-2:] == ("=1", -3)


@pytest.mark.usefixtures("small_pages")
async def test_an_arrow_stream_comes_batch_by_batch_with_one_dictionary(alice: User) -> None:
    await sync_to_async(make_world)(alice, runs=8)
    dataset = await sync_to_async(snapshot)(alice)
    parts = await collect(exports.stream_export(dataset, ARROW))
    assert len(parts) > 4
    assert ipc.open_stream(parts[0]).read_all().num_rows < 10
    kinds = [message.type for message in ipc.MessageReader.open_stream(b"".join(parts))]
    assert kinds.count("dictionary") == 1
    assert kinds.count("record batch") == len(parts) - 1
    assert b"".join(parts).endswith(b"\xff\xff\xff\xff\0\0\0\0")


async def test_rows_are_widened_in_bounded_slices(alice: User) -> None:
    """A constant of 1 byte, or a long text said once, stands for any number of rows."""
    from runs.frames import Column

    await sync_to_async(make_world)(alice, runs=1)
    table = tables.Table(await sync_to_async(snapshot)(alice))
    rows = 2**20
    word = b"x" * 1000
    wide = (
        Column("int", rows, np.array([7], "u1"), const=True),
        Column("float", rows, np.array([0], "<f4"), const=True),
        Column("text", rows, np.array([0], "u1"), const=True, words=(word,)),
        Column("bool", rows, np.array([1], "u1"), const=True),
    )
    limit = 2**20
    seen = 0
    batches = arrow.Batches(table)
    for cut in table._cut(np.zeros(rows, "<i4"), wide, limit):
        assert cut.size <= limit
        if not seen:
            assert batches.make(cut).nbytes <= limit
        seen += len(cut.runs)
    assert seen == rows


async def test_a_row_group_is_bounded(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    await sync_to_async(make_world)(alice)
    monkeypatch.setattr(arrow, "GROUP_BYTES", 300)
    monkeypatch.setitem(PARQUET.__dict__, "slice_bytes", 200)
    data = await export(alice, PARQUET)
    groups = pq.ParquetFile(io.BytesIO(data)).metadata
    assert groups.num_row_groups > 3
    assert max(groups.row_group(at).num_rows for at in range(groups.num_row_groups)) < 14


@EVERY
@pytest.mark.usefixtures("small_pages")
async def test_a_download_that_is_cancelled_reads_no_more(
    alice: User, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_to_async(make_world)(alice, runs=12)
    dataset = await sync_to_async(snapshot)(alice)
    read_pages: list[int] = []
    whole = columns.read_chunks

    def spy(wants: Any) -> Any:
        read_pages.append(len(wants))
        return whole(wants)

    monkeypatch.setattr(columns, "read_chunks", spy)
    await collect(exports.stream_export(dataset, form))
    all_of_them = len(read_pages)
    monkeypatch.setattr(arrow, "GROUP_ROWS", 1)
    read_pages.clear()
    stream = exports.stream_export(dataset, form)
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert 0 < len(read_pages) <= 4 < all_of_them


@EVERY
async def test_an_export_breaks_off_when_a_run_is_purged_meanwhile(
    alice: User, form: Format
) -> None:
    def world() -> Dataset:
        script, *_ = make_world(alice, runs=1)
        dataset = snapshot(alice)
        script.open()
        assert reaping.reap(grace=timedelta(0))
        return dataset

    dataset = await sync_to_async(world)()
    got = b""
    with pytest.raises(tables.RowsReplaced, match="replaced"):
        async for part in exports.stream_export(dataset, form):
            got += part
    if form is ARROW:
        assert not got.endswith(b"\xff\xff\xff\xff\0\0\0\0")
    if form is PARQUET:
        with pytest.raises(pa.ArrowInvalid):
            read_parquet(got)


async def test_queries_do_not_grow_with_runs(
    alice: User, django_assert_max_num_queries: Any
) -> None:
    def count(form: Format) -> int:
        with django_assert_max_num_queries(100) as seen:
            table = tables.Table(snapshot(alice, attributes=["i"]))
            writer = form.make_writer(table)
            for rows in table.slices(form.slice_bytes):
                writer.write(rows)
        return len([query for query in seen if "runs_chunk" not in query["sql"]])

    await sync_to_async(make_world)(alice, runs=3)
    few = [await sync_to_async(count)(form) for form in FORMATS.values()]
    await sync_to_async(make_world)(alice, runs=20)
    assert [await sync_to_async(count)(form) for form in FORMATS.values()] == few


def test_quoting() -> None:
    assert csv_text.quote('=a"b') == '"\'=a""b"'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_any_texts_come_back_from_csv(texts: list[str]) -> None:
    line = csv_text._line(map(csv_text.quote, ["", *texts]))
    [record] = csv_records(line.encode())
    expected = [f"'{text}" if text.startswith(tuple("=+-@\t\r")) else text for text in texts]
    assert record == ["", *expected]


@pytest.mark.parametrize("form", [ARROW, PARQUET], ids=["arrow", "parquet"])
async def test_every_nan_keeps_its_bits(alice: User, form: Format) -> None:
    from runs.frames import Column

    await sync_to_async(make_world)(alice, runs=1)
    table = tables.Table(await sync_to_async(snapshot)(alice, fields=["f"]))
    patterns = [0x7FF8000000000001, 0xFFF8000000000123, 0x7FF0000000000001, 0x8000000000000000]
    values = np.array(patterns, "<u8").view("<f8")
    rows = tables.Rows(np.zeros(4, "<i4"), (Column("float", 4, values),), size=64)
    writer = form.make_writer(table)
    data = writer.begin() + writer.write(rows) + writer.end()
    found = read_arrow(data) if form is ARROW else read_parquet(data)
    assert found.column("f").to_numpy().view("<u8").tolist() == patterns
