"""What appends keep of the catalogue: never old names, never a series that is gone."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog import definitions, snapshot
from catalog.errors import Conflict, Illegal
from catalog.models import Field, Series
from catalog.snapshot import SeriesInfo, known_series
from runs.append import append
from runs.models import Chunk, Stream
from runs.requests import from_json
from tests.runs.kit import Writer, exact_rows, make_series, read_rows, rows_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(writer: Writer, training: SeriesInfo) -> SeriesInfo:
    """A series that this process has seen appends to."""
    writer.log_rows(training, rows_of(1))
    writer.log_rows(training, rows_of(2))
    return training


def rename(model: type[Field] | type[Series], old: str, new: str) -> None:
    """As another process would: nothing of this one hears of it."""
    assert model.objects.filter(name=old).update(name=new) == 1


def test_a_series_is_looked_up_once(kept: SeriesInfo, writer: Writer) -> None:
    with CaptureQueriesContext(connection) as done:
        writer.log_rows(kept, rows_of(3))
    assert not [query for query in done if "catalog_seriesfield" in query["sql"]]


def test_only_handles_are_kept(training: SeriesInfo) -> None:
    for _ in range(2):
        with CaptureQueriesContext(connection) as done:
            assert known_series(["training"]) == {"training": training}
        assert len(done) == 1


def test_a_renamed_field_is_unknown_by_its_old_name_and_known_by_its_new_one(
    kept: SeriesInfo, writer: Writer
) -> None:
    rename(Field, "loss", "cross entropy")
    columns = {"step": [3], "loss": [0.5], "note": [""], "ok": [True]}
    frame = {"series": kept.handle, "first": 2, "columns": columns}
    body = {"generation": 1, "writer": writer.id, "frames": [frame]}
    with pytest.raises(Illegal, match="'loss'") as refused:
        append(writer.run, from_json(body))
    assert refused.value.code == "unknown_field"
    columns["cross entropy"] = columns.pop("loss")
    assert append(writer.run, from_json(body)).rows == {kept.handle: 3}


def test_a_name_that_now_is_another_fields_means_that_field(
    kept: SeriesInfo, writer: Writer
) -> None:
    make_series("accuracies", {"accuracy": "float"})
    rename(Field, "loss", "cross entropy")
    rename(Field, "accuracy", "loss")
    columns = {"step": [3], "loss": [0.5], "note": [""], "ok": [True]}
    frame = {"series": kept.handle, "first": 2, "columns": columns}
    with pytest.raises(Illegal, match="'loss'"):
        append(writer.run, from_json({"generation": 1, "writer": writer.id, "frames": [frame]}))


def test_a_refusal_uses_the_names_of_now(kept: SeriesInfo, writer: Writer) -> None:
    rename(Series, "training", "pretraining")
    rename(Field, "step", "iteration")
    writer.write(kept, rows_of(3, 4))
    with pytest.raises(Conflict, match="'pretraining'") as gap:
        writer.append(writer.frame(kept, 3))
    assert (gap.value.code, gap.value.details["series"]) == ("gap", "pretraining")
    twin = Writer(writer.run, 1, id=writer.id)
    twin.write(kept, rows_of(7, 8, 9))
    with pytest.raises(Conflict, match="'iteration'") as diverged:
        twin.append(twin.frame(kept))
    assert (diverged.value.code, diverged.value.details["field"]) == ("diverged", "iteration")


def test_a_series_that_was_deleted_elsewhere_is_unknown(
    kept: SeriesInfo, run: str, training: SeriesInfo
) -> None:
    unused = make_series("unused", {"n": "int"})
    assert known_series([unused.handle])
    definitions.delete_series(definitions.find(Series, unused.handle))
    assert known_series([unused.handle])  # still kept; and yet:
    late = Writer(run, 1)
    late.write(unused, [(1,)])
    with pytest.raises(Illegal) as refused:
        late.append(late.frame(unused))
    assert (refused.value.code, refused.value.details["frame"]) == ("unknown_series", 1)
    assert not Stream.objects.filter(writer=late.id).exists()
    assert not Chunk.objects.filter(series_id=unused.id).exists()


def test_what_is_kept_is_bounded(
    kept: SeriesInfo, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MAX_KNOWN", 3)
    for number in range(10):
        other = make_series(f"other {number}", {"step": "int"})
        assert known_series([other.handle, kept.handle])[other.handle].name == other.name
        assert len(snapshot._known) <= 3
    writer.log_rows(kept, rows_of(3))
    assert read_rows(writer.run, kept) == exact_rows(rows_of(1, 2, 3))
