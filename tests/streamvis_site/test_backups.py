"""What a manifest says of a store, and what `verify` finds when the store no longer agrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from runs import lifecycle, reaping
from runs.compaction import compact
from runs.models import Chunk, Run, RunSeries, Stream
from runs.verification import run_records
from streamvis_site.backups import snapshot
from streamvis_site.manifest import Manifest, ManifestError, compare, write_manifest
from tests.runs.kit import Writer, make_series, rows_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alices_run(alice: User) -> Run:
    """Two writers, many small chunks, tags and an attribute."""
    series = make_series()
    run = lifecycle.create_run(alice).run
    first, second = Writer(str(run.handle), 1), Writer(str(run.handle), 1)
    for start in range(0, 60, 3):
        first.log_rows(series, rows_of(start, start + 1, start + 2))
    second.log_rows(series, rows_of(7, 8, 9))
    lifecycle.add_tags(run, ["baseline"])
    return run


@pytest.fixture
def manifest(alices_run: Run, tmp_path: Path) -> Manifest:
    write_manifest(tmp_path / "manifest.jsonl")
    return Manifest.open(tmp_path / "manifest.jsonl")


def faults(manifest: Manifest | None = None) -> str:
    with snapshot():
        return "\n".join(compare(manifest).faults)


def test_a_sound_store_has_no_faults_and_equals_its_manifest(manifest: Manifest) -> None:
    with snapshot():
        summary = compare(manifest)
    assert (summary.runs, summary.rows, summary.faults) == (1, 63, [])


def test_compaction_changes_nothing_that_a_manifest_says(manifest: Manifest) -> None:
    assert compact(cold_after=timedelta(0)).segments
    assert faults(manifest) == ""


def test_a_purged_run_is_in_no_manifest_and_a_deleted_one_is(alices_run: Run) -> None:
    lifecycle.delete_run(alices_run)
    [record] = run_records()
    assert record.deleted
    assert not record.faults
    reaping.reap(purge_after=timedelta(0))
    assert list(run_records()) == []


def test_rows_of_a_replaced_generation_are_no_fault(alices_run: Run, alice: User) -> None:
    lifecycle.open_run(str(alices_run.handle), alice, replace=True, nonce="0" * 32)
    [record] = run_records()
    assert (record.generation, record.series, record.faults) == (2, {}, ())


def flip_a_bit() -> None:
    chunk = Chunk.objects.order_by("first_row").first()
    assert chunk
    data = bytearray(chunk.data)
    data[3] ^= 1
    Chunk.objects.filter(pk=chunk.pk).update(data=bytes(data))


def lose_a_chunk() -> None:
    last = Chunk.objects.order_by("first_row").last()
    assert last
    last.delete()


def lose_a_chunk_in_the_middle() -> None:
    Chunk.objects.filter(first_row=30).delete()


def count_too_many() -> None:
    RunSeries.objects.update(rows=F("rows") + 1)


def forget_what_a_writer_sent() -> None:
    stream = Stream.objects.first()
    assert stream
    Stream.objects.filter(pk=stream.pk).update(cursor=F("cursor") - 1)


def garble_a_layout() -> None:
    Chunk.objects.filter(first_row=30).update(layout="{")


@pytest.mark.parametrize(
    "damage",
    [
        lose_a_chunk,
        lose_a_chunk_in_the_middle,
        count_too_many,
        forget_what_a_writer_sent,
        garble_a_layout,
    ],
)
def test_a_store_that_contradicts_itself_is_found_without_a_manifest(
    alices_run: Run, damage: Callable[[], None]
) -> None:
    assert faults() == ""
    damage()
    assert f"run {alices_run.handle}: series 'training'" in faults()


def test_a_flipped_bit_of_a_single_writers_rows_is_found_without_a_manifest(alice: User) -> None:
    run = lifecycle.create_run(alice).run
    Writer(str(run.handle), 1).log_rows(make_series(), rows_of(1, 2, 3))
    flip_a_bit()
    assert "values differ" in faults()


def change_a_tag() -> None:
    lifecycle.remove_tags(Run.objects.get(), ["baseline"])


def delete_the_run() -> None:
    lifecycle.delete_run(Run.objects.get())


def purge_the_run() -> None:
    Run.objects.update(purged_at=timezone.now())


def make_another_run() -> None:
    lifecycle.create_run(User.objects.get())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (flip_a_bit, "differs in series"),
        (change_a_tag, "differs in described"),
        (delete_the_run, "differs in deleted"),
        (purge_the_run, "missing"),
        (make_another_run, "the backup does not have it"),
        (make_another_run, "runs.Run: 2 rows are there, the backup had 1"),
    ],
)
def test_what_differs_from_the_manifest_is_named(
    manifest: Manifest, change: Callable[[], None], said: str
) -> None:
    change()
    assert said in faults(manifest)


def cut_short(text: str) -> str:
    return text[: text.rindex('{"kind":"end"')]


def change_a_number(text: str) -> str:
    return text.replace('"rows":63', '"rows":64', 1)


def nothing_at_all(text: str) -> str:
    return ""


def another_format(text: str) -> str:
    return text.replace('"format":1', '"format":2')


@pytest.mark.parametrize("spoil", [cut_short, change_a_number, nothing_at_all, another_format])
def test_a_manifest_that_is_not_whole_is_refused(
    manifest: Manifest, spoil: Callable[[str], str]
) -> None:
    manifest.path.write_text(spoil(manifest.path.read_text()))
    with pytest.raises(ManifestError):
        Manifest.open(manifest.path)


def test_a_folder_without_a_manifest_is_an_unfinished_backup(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="not finished"):
        call_command("verify", str(tmp_path))


def test_verify_fails_with_the_first_faults_and_their_number(
    alices_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("verify")
    assert "1 runs with 63 rows" in capsys.readouterr().out
    count_too_many()
    with pytest.raises(CommandError, match=r"faults; the first are above"):
        call_command("verify")
    assert "rows are counted" in capsys.readouterr().err


def test_a_manifest_is_lines_of_json_with_a_check_value_at_the_end(manifest: Manifest) -> None:
    header, run, end = (json.loads(line) for line in manifest.path.read_text().splitlines())
    assert (header["kind"], run["kind"], end["kind"]) == ("backup", "run", "end")
    assert header["tables"]["catalog.Series"] == 1
    assert (end["runs"], end["rows"]) == (1, 63)
