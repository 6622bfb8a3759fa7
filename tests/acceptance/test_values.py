"""What was logged comes back bit for bit, through client, wire, store and client again."""

from __future__ import annotations

import math
import struct
import uuid

import numpy as np
import pytest
from numpy.typing import NDArray

from streamvis import Client, DataLogger

INTS = [0, -1, 1, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
FLOATS = [
    0.0,
    -0.0,
    1.0,
    0.1,
    5e-324,
    -2.2250738585072014e-308,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    math.inf,
    -math.inf,
    math.nan,
    1_700_000_000_000.001,
]
TEXTS = ["", " ", "plain", "naïve 🙂", "שלום", "a" * 10_000, "line\nbreak\ttab", "\u2028"]


def bits(values: NDArray[np.float64]) -> list[int]:
    return [struct.unpack("<q", struct.pack("<d", value))[0] for value in values.tolist()]


@pytest.fixture
def series() -> str:
    return f"values {uuid.uuid4()}"


def test_integers_of_64_bits(series: str) -> None:
    with DataLogger() as log:
        log.ensure_series(series, {f"{series} n": "int"})
        for value in INTS:
            log.write(series, **{f"{series} n": value})
        log.write(series, **{f"{series} n": np.array(INTS, dtype=np.int64)})
    column = Client().data({"handles": [log.run_handle]}, series)[f"{series} n"]
    assert column.dtype == np.int64
    assert column.tolist() == INTS + INTS


def test_floats_of_64_bits(series: str) -> None:
    with DataLogger() as log:
        log.ensure_series(series, {f"{series} v": "float"})
        for value in FLOATS:
            log.write(series, **{f"{series} v": value})
        log.write(series, **{f"{series} v": np.array(FLOATS)})
    column = Client().data({"handles": [log.run_handle]}, series)[f"{series} v"]
    assert column.dtype == np.float64
    assert bits(column) == bits(np.array(FLOATS + FLOATS))


def test_narrow_arrays_are_widened_not_changed(series: str) -> None:
    names = {"f4": np.float32, "f2": np.float16, "i1": np.int8, "u4": np.uint32}
    with DataLogger() as log:
        log.ensure_series(
            series,
            {f"{series} {name}": "float" if name.startswith("f") else "int" for name in names},
        )
        rng = np.random.default_rng(1)
        given = {
            f"{series} {name}": (rng.random(1000) * 100).astype(dtype)
            for name, dtype in names.items()
        }
        log.write(series, **given)
    columns = Client().data({"handles": [log.run_handle]}, series)
    for name, values in given.items():
        assert (columns[name] == values.astype(columns[name].dtype)).all()


def test_texts_and_bools(series: str) -> None:
    with DataLogger() as log:
        log.ensure_series(series, {f"{series} t": "text", f"{series} b": "bool"})
        for number, text in enumerate(TEXTS):
            log.write(series, **{f"{series} t": text, f"{series} b": number % 2 == 0})
    columns = Client().data({"handles": [log.run_handle]}, series)
    assert columns[f"{series} t"].tolist() == TEXTS
    assert columns[f"{series} b"].tolist() == [number % 2 == 0 for number in range(len(TEXTS))]


def test_attributes_keep_their_bits(series: str) -> None:
    log = DataLogger()
    log.ensure_series(series, {f"{series} n": "int"})
    for index, value in enumerate(FLOATS):
        log.ensure_field(f"{series} a{index}", "float")
        log.set_run_attributes(**{f"{series} a{index}": value})
    with log:
        log.write(series, **{f"{series} n": 1})
    [run] = Client().runs({"handles": [log.run_handle]})
    stored = np.array([run.attributes[f"{series} a{index}"] for index in range(len(FLOATS))])
    assert bits(stored) == bits(np.array(FLOATS))
