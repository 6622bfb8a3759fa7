"""Fills a database with a year of runs: `python -m benchmarks.many_runs`.

The database is the one that STREAMVIS_DATA or STREAMVIS_DATABASE_URL names. Runs get heads, tags,
attributes and counts of rows, and no rows: for searching them, nothing else.
"""

from __future__ import annotations

import argparse
import os
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

SEED = 7
TAGS = 200
NAMED_TAGS = ("baseline", "digits", "ablation", "sweep", "paper", "broken", "debug", "best")
SERIES = {"training": 1.0, "validation": 0.8, "gradients": 0.1}
AT_ONCE = 20_000

Draw = Callable[[np.random.Generator, int], np.ndarray[Any, Any]]


def _choice(*values: object, p: Sequence[float] | None = None) -> Draw:
    return lambda random, size: random.choice(np.array(values, object), size, p=p)


def _log(low: float, high: float) -> Draw:
    return lambda random, size: np.exp(random.uniform(np.log(low), np.log(high), size))


def _whole(low: int, high: int) -> Draw:
    return lambda random, size: random.integers(low, high, size)


# name: type, how its values are drawn, and how many of the runs have it
FIELDS: dict[str, tuple[str, Draw, float]] = {
    "learning rate": ("float", _log(1e-5, 1e-1), 1.0),
    "optimizer": ("text", _choice("adam", "sgd", "adamw", "lion", p=[0.5, 0.2, 0.25, 0.05]), 0.97),
    "batch size": ("int", _choice(16, 32, 64, 128, 256), 1.0),
    "seed": ("int", _whole(0, 100), 0.95),
    "model": ("text", _choice("mlp", "resnet18", "resnet50", "vit-s", "vit-b"), 1.0),
    "dataset": ("text", _choice("digits", "cifar10", "imagenet"), 1.0),
    "dropout": ("float", _choice(0.0, 0.1, 0.2, 0.5), 0.9),
    "weight decay": ("float", _log(1e-6, 1e-2), 0.8),
    "warmup steps": ("int", _choice(0, 100, 500, 1000), 0.7),
    "mixed precision": ("bool", _choice(True, False), 0.85),
    "gpus": ("int", _choice(1, 2, 4, 8, p=[0.6, 0.2, 0.1, 0.1]), 0.9),
    "commit": ("text", lambda random, size: _hex(random, size), 0.99),
    "host": ("text", _choice(*(f"node{number:02}" for number in range(40))), 1.0),
    "note": ("text", _choice("", "rerun", "naïve init", "longer"), 0.3),
    "best accuracy": ("float", lambda random, size: random.beta(8, 2, size), 0.6),
    "diverged": ("bool", _choice(True, False, p=[0.05, 0.95]), 0.5),
    **{f"parameter {k}": ("float", lambda random, size: random.normal(0, 1, size), 0.9)
       for k in range(7)},
    **{f"layer {k} width": ("int", _choice(32, 64, 128, 256, 512), 0.9) for k in range(7)},
}  # fmt: skip


def _hex(random: np.random.Generator, size: int) -> np.ndarray[Any, Any]:
    return np.array([f"{value:07x}" for value in random.integers(0, 2**28, size)], object)


def fill(runs: int, *, owner: str | None = None) -> None:
    """Make so many runs, besides those that are there. Django is set up."""
    from accounts.models import User
    from catalog import definitions
    from runs.models import Run

    random = np.random.default_rng(SEED)
    person = User.objects.get(username=owner) if owner else User.objects.order_by("pk")[0]
    for name, (data_type, _, _) in FIELDS.items():
        definitions.ensure_field(name=name, data_type=data_type)
    series = [
        definitions.ensure_series(name=name, fields={"step": "int", "loss": "float"}).pk
        for name in SERIES
    ]
    first = (Run.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
    ids = np.arange(first, first + runs)
    _fill_runs(random, ids, person.pk)
    _fill_tags(random, ids)
    _fill_rows(random, ids, series)
    for name, (data_type, draw, share) in FIELDS.items():
        having = ids[random.random(runs) < share]
        _fill_field(name, data_type, having, draw(random, len(having)))
    _advance_sequences()


def _fill_runs(random: np.random.Generator, ids: Any, owner: int) -> None:
    now = datetime.now(UTC)
    ages = np.sort(random.exponential(90 * 86_400, len(ids)))[::-1]
    started = [now - timedelta(seconds=float(age)) for age in ages]
    handles = [uuid.UUID(bytes=random.bytes(16), version=4) for _ in ids]
    lasting = random.exponential(3_600, len(ids))
    ended = [at + timedelta(seconds=float(secs)) for at, secs in zip(started, lasting, strict=True)]
    states = random.choice(["finished", "failed", "running"], len(ids), p=[0.9, 0.07, 0.03])
    _insert(
        "runs_run",
        ("id", "handle", "owner_id", "started_at"),
        zip(ids.tolist(), map(_handle, handles), [owner] * len(ids), started, strict=True),
    )
    heads = zip(ids.tolist(), states.tolist(), ended, strict=True)
    _insert(
        "runs_runhead",
        ("run_id", "generation", "state", "fenced", "meta_version", "last_append_at"),
        ((run, 1, state, False, 1, min(at, now)) for run, state, at in heads),
    )


def _handle(handle: uuid.UUID) -> str:
    return handle.hex if _is_sqlite() else str(handle)


def _fill_tags(random: np.random.Generator, ids: Any) -> None:
    from runs.models import Tag

    names = [*NAMED_TAGS, *(f"group-{number:03}" for number in range(TAGS - len(NAMED_TAGS)))]
    Tag.objects.bulk_create([Tag(name=name) for name in names], ignore_conflicts=True)
    tags = list(Tag.objects.filter(name__in=names).values_list("pk", flat=True))
    weights = 1 / np.arange(1, len(tags) + 1)
    drawn = random.choice(tags, (len(ids), 4), p=weights / weights.sum())
    pairs = ((run, tag) for run, few in zip(ids.tolist(), drawn, strict=True) for tag in set(few))
    _insert("runs_runtag", ("run_id", "tag_id"), ((run, int(tag)) for run, tag in pairs))


def _fill_rows(random: np.random.Generator, ids: Any, series: Sequence[int]) -> None:
    for key, share in zip(series, SERIES.values(), strict=True):
        having = ids[random.random(len(ids)) < share].tolist()
        rows = random.integers(1, 100_000, len(having)).tolist()
        _insert(
            "runs_runseries",
            ("run_id", "generation", "series_id", "rows"),
            ((run, 1, key, count) for run, count in zip(having, rows, strict=True)),
        )


def _fill_field(name: str, data_type: str, having: Any, values: Any) -> None:
    from catalog.models import Field

    key = Field.objects.get(name=name).pk
    columns: dict[str, tuple[str, ...]] = {"float": ("float_bits", "float_value")}
    named = columns.get(data_type, (f"{data_type}_value",))
    pairs = zip(having.tolist(), values.tolist(), strict=True)
    if data_type == "float":
        rows: Iterable[tuple[Any, ...]] = (
            (run, key, data_type, _bits(value), value) for run, value in pairs
        )
    else:
        rows = ((run, key, data_type, value) for run, value in pairs)
    _insert("runs_attribute", ("run_id", "field_id", "data_type", *named), rows)


def _bits(value: float) -> int:
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits


def _is_sqlite() -> bool:
    from django.db import connection

    return connection.vendor == "sqlite"


def _insert(table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    from django.db import connection, transaction

    named = ", ".join(columns)
    with transaction.atomic(), connection.cursor() as cursor:
        if not _is_sqlite():
            with cursor.copy(f"COPY {table} ({named}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join(["%s"] * len(columns))
        for some in _batches(rows):
            cursor.executemany(f"INSERT INTO {table} ({named}) VALUES ({marks})", some)


def _batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    gathered: list[tuple[Any, ...]] = []
    for row in rows:
        gathered.append(tuple(_plain(value) for value in row))
        if len(gathered) == AT_ONCE:
            yield gathered
            gathered = []
    yield gathered


def _plain(value: Any) -> Any:
    """As Django writes times to SQLite."""
    return value.replace(tzinfo=None).isoformat(" ") if isinstance(value, datetime) else value


def _advance_sequences() -> None:
    from django.db import connection

    if not _is_sqlite():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('runs_run', 'id'), MAX(id)) FROM runs_run"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--owner", help="user name; the first account otherwise")
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "streamvis_site.settings")
    import django

    django.setup()
    fill(arguments.runs, owner=arguments.owner)


if __name__ == "__main__":
    main()
