"""The manifest of a backup (docs/formats/backup.md): what a store held, to be compared later."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.apps import apps
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from runs.verification import RunRecord, run_records

FORMAT = 1
# How rows lie in chunks may change without any row changing; sessions come and go; the last two
# are made anew from the code.
NOT_COUNTED = {
    "runs.Chunk",
    "runs.ChunkSummary",
    "sessions.Session",
    "contenttypes.ContentType",
    "auth.Permission",
}


class ManifestError(Exception):
    """A manifest that cannot be used; the message says why."""


@dataclass
class Summary:
    """What a walk over a store found."""

    runs: int = 0
    rows: int = 0
    faults: list[str] = field(default_factory=list)

    def count(self, record: RunRecord) -> None:
        self.runs += 1
        self.rows += sum(series.rows for series in record.series.values())
        self.faults += [f"run {record.run}: {fault}" for fault in record.faults]


def write_manifest(path: Path) -> Summary:
    """Write what the store holds now; the file appears whole or not at all."""
    summary = Summary()
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with open(scratch, "x", encoding="utf-8") as file:
        digest = hashlib.sha256()
        for line in _lines(summary):
            digest.update(line.encode())
            file.write(line)
        end = {"kind": "end", "runs": summary.runs, "rows": summary.rows}
        file.write(_line({**end, "sha256": digest.hexdigest()}))
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    return summary


def _lines(summary: Summary) -> Iterator[str]:
    yield _line(
        {
            "kind": "backup",
            "format": FORMAT,
            "made_at": timezone.now().isoformat(),
            "database": connection.vendor,
            "migrations": _migrations(),
            "tables": count_tables(),
        }
    )
    for record in run_records():
        summary.count(record)
        yield _line({"kind": "run", **record.as_json()})


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False) + "\n"


def _migrations() -> list[str]:
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied)


def count_tables() -> dict[str, int]:
    """Rows of every table that says something lasting, by model."""
    models = [model for model in apps.get_models() if model._meta.label not in NOT_COUNTED]
    return {model._meta.label: model._base_manager.count() for model in models}


@dataclass(frozen=True)
class Manifest:
    """A manifest that is whole; its runs are read from the file as they are needed."""

    path: Path
    header: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Manifest:
        """Check the file to its end.

        Raises:
            ManifestError: it is missing, cut short, changed, or of another format.
        """
        try:
            header = _checked_header(path)
        except FileNotFoundError:
            raise ManifestError(f"{path} is missing: this backup was not finished.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(f"{path} is no whole manifest ({error}).") from None
        if header.get("format") != FORMAT:
            raise ManifestError(
                f"{path} has format {header.get('format')!r}, this version reads {FORMAT}. "
                "Use the version that wrote it, or a newer one."
            )
        return cls(path, header)

    @property
    def database(self) -> str:
        return str(self.header["database"])

    @contextmanager
    def runs(self) -> Iterator[Iterator[dict[str, Any]]]:
        """What each run was, ordered by handle."""
        with open(self.path, encoding="utf-8") as file:
            entries = map(json.loads, file)
            yield (entry for entry in entries if entry["kind"] == "run")


def _checked_header(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        header: dict[str, Any] = json.loads(file.readline())
        file.seek(0)
        end = _end_of(file)
    if header["kind"] != "backup":
        raise ValueError("it begins with something else")
    if end is None:
        raise ValueError("its end is missing, or its text was changed")
    return header


def _end_of(file: IO[bytes]) -> dict[str, Any] | None:
    """The end's entry, if it is the last line and its check value is that of all before it."""
    digest, last = hashlib.sha256(), b""
    for line in file:
        digest.update(last)
        last = line
    end: dict[str, Any] = json.loads(last)
    whole = end["kind"] == "end" and end["sha256"] == digest.hexdigest()
    return end if whole else None


def compare(manifest: Manifest | None = None) -> Summary:
    """Read everything the store holds; with a manifest, also where it differs from that.

    Faults are sentences; a difference in a run is one fault.
    """
    summary = Summary()
    if manifest is None:
        for record in run_records():
            summary.count(record)
        return summary
    summary.faults += _differing_tables(manifest.header["tables"])
    with manifest.runs() as expected:
        summary.faults += _differing_runs(expected, _counted(summary))
    return summary


def _counted(summary: Summary) -> Iterator[dict[str, Any]]:
    for record in run_records():
        summary.count(record)
        yield {"kind": "run", **json.loads(json.dumps(record.as_json()))}


def _differing_tables(expected: dict[str, int]) -> Iterator[str]:
    """Tables that a newer version added have no number in the manifest."""
    present = count_tables()
    for label, rows in expected.items():
        if present.get(label) != rows:
            yield f"{label}: {present.get(label)} rows are there, the backup had {rows}"


def _differing_runs(
    expected: Iterator[dict[str, Any]], present: Iterator[dict[str, Any]]
) -> Iterator[str]:
    """Both come ordered by handle, so that neither is held in memory."""
    there, want = next(present, None), next(expected, None)
    while there or want:
        if want is None or (there is not None and there["run"] < want["run"]):
            yield f"run {there['run']}: the backup does not have it"  # type: ignore[index]
            there = next(present, None)
        elif there is None or want["run"] < there["run"]:
            yield f"run {want['run']}: missing"
            want = next(expected, None)
        else:
            differing = [name for name in want if want[name] != there.get(name)]
            if differing:
                yield f"run {want['run']}: differs in {', '.join(differing)}"
            there, want = next(present, None), next(expected, None)
