"""Long runs through a real server: pictures, statistics and single rows, beside numpy."""

from __future__ import annotations

import math
import uuid

import numpy as np
import pytest

from streamvis import Client, DataLogger, Illegal

ROWS = 30_000
Logged = tuple[str, str]


@pytest.fixture
def names() -> dict[str, str]:
    key = str(uuid.uuid4())
    return {name: f"{key} {name}" for name in ("series", "step", "loss", "phase", "size")}


@pytest.fixture
def loss() -> np.ndarray:
    noise = np.random.default_rng(5).normal(size=ROWS)
    noise[[7, 12_345]] = math.nan, 99
    return noise


@pytest.fixture
def run(names: dict[str, str], loss: np.ndarray) -> str:
    with DataLogger() as log:
        types = {names["step"]: "int", names["loss"]: "float", names["phase"]: "text"}
        log.ensure_series(names["series"], types)
        log.ensure_field(names["size"], "int")
        log.set_run_attributes(**{names["size"]: 3})
        for part in np.array_split(np.arange(ROWS), 7):
            phases = np.where(part % 3 == 0, "test", "train")
            columns = (part + 2**60, loss[part], phases.tolist())
            log.write(names["series"], **dict(zip(list(types), columns, strict=True)))
        return log.run_handle


def test_an_overview_a_zoom_and_the_rows_in_it(
    names: dict[str, str], run: str, loss: np.ndarray
) -> None:
    series, step, y = names["series"], names["step"], names["loss"]
    client = Client()
    whole = client.overview(run, series, step, y, columns=100)
    assert whole.range == (2**60, 2**60 + ROWS - 1)
    assert len(whole.edges) == 101
    [line] = whole.envelopes
    assert (line.run, line.in_range, line.exact, line.sorted) == (run, ROWS, True, True)
    assert line.not_drawn == {y: 1}
    assert line.column.tolist() == list(range(100))
    borders = -(-np.arange(101) * (ROWS - 1) // 100)
    for column in (0, 41, 57):
        part = loss[borders[column] : borders[column + 1]]
        assert line.rows[column] == part.size
        strip = line.y[y]
        assert (strip.least[column], strip.greatest[column]) == (np.nanmin(part), np.nanmax(part))
        assert (strip.first[column], strip.last[column]) == (part[0], part[-1])
    zoom = client.overview(run, series, step, [y], (2**60 + 12_000, 2**60 + 12_999), columns=10)
    [line] = zoom.envelopes
    assert line.y[y].greatest.max() == 99
    assert line.before is not None and line.before["x"] == 2**60 + 11_999
    assert line.before["y"] == {y: loss[11_999]}
    rows = [
        {"field": step, "min": 2**60 + 12_340, "max_open": 2**60 + 12_350},
        {"field": names["phase"], "values": ["train"]},
    ]
    data = client.data(run, series, fields=[y], rows=rows)
    assert data.row.tolist() == [12_340, 12_341, 12_343, 12_344, 12_346, 12_347, 12_349]
    assert data[y].tolist() == loss[data.row].tolist()
    assert client.data(run, series, rows=[{"field": y, "min": 100}]).rows == 0
    assert client.data(run, series, fields=[step]).row.tolist() == list(range(ROWS))
    with pytest.raises(Illegal, match="swap"):
        client.data(run, series, rows=[{"field": y, "min": np.float64(3), "max": 2}])


def test_a_density_is_a_histogram(names: dict[str, str], run: str, loss: np.ndarray) -> None:
    client = Client()
    [picture] = client.density(
        run, names["series"], names["step"], names["loss"], names["step"], width=30, height=20
    )
    some = np.isfinite(loss)
    assert (picture.run, picture.drawn, picture.not_drawn) == (None, int(some.sum()), 1)
    steps = np.arange(ROWS)[some]
    counts, _, _ = np.histogram2d(loss[some], steps, bins=(20, 30))
    assert picture.count.shape == (20, 30)
    np.testing.assert_allclose(picture.count, counts, atol=1)  # at the borders it may round
    assert picture.mean is not None and picture.least is not None
    assert np.nanmin(picture.least) == 2**60
    assert np.isnan(picture.mean[picture.count == 0]).all()
    each = client.density(run, names["series"], names["step"], names["loss"], per_run=True)
    assert [one.run for one in each] == [run]


def test_statistics_are_arrays(names: dict[str, str], run: str, loss: np.ndarray) -> None:
    [group] = Client().statistics(
        run,
        names["series"],
        names["step"],
        names["loss"],
        group=[names["size"]],
        align={"kind": "bins", "edges": [2**60, 2**60 + 10, 2**60 + 20]},
        quantiles=[0.25, 0.75],
    )
    assert (group.values, group.runs) == ({names["size"]: 3}, 1)
    assert group.points["x"].tolist() == [2**60, 2**60 + 10]
    assert group.points["n"].tolist() == [9, 11]  # the last bin has both its edges
    np.testing.assert_allclose(group.points["mean"], [np.nanmean(loss[:10]), loss[10:21].mean()])
    assert group.points["quantiles"].shape == (2, 2)
