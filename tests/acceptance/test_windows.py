"""Windows through a real server: what the client gets is what numpy finds in the logged values."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from streamvis import Client, DataLogger, Illegal


@pytest.fixture
def series() -> str:
    return f"windows {uuid.uuid4()}"


def test_windows_of_grouped_and_shuffled_rows(series: str) -> None:
    step, loss, layer = f"{series} step", f"{series} loss", f"{series} layer"
    rng = np.random.default_rng(7)
    steps = rng.permutation(500)
    losses, layers = rng.random(500), rng.integers(0, 3, 500).astype(str)
    with DataLogger() as log:
        log.ensure_series(series, {step: "int", loss: "float", layer: "text"})
        for part in np.array_split(np.arange(500), [1, 90, 91, 300]):
            log.write(series, **{step: steps[part], loss: losses[part], layer: layers[part]})
            log.flush()
    window = {"size": 20, "stride": 5, "order": step, "group": [layer]}
    data = Client().data(log.run_handle, series, window=window)
    assert data[step].dtype == np.float64
    for name in "012":
        rows = np.flatnonzero(layers == name)
        rows = rows[np.argsort(steps[rows])]
        firsts = range(0, len(rows) - 19, 5)
        chosen = data[layer] == name
        for key, values in ((step, steps), (loss, losses)):
            means = [values[rows[first : first + 20]].mean() for first in firsts]
            np.testing.assert_allclose(data[key][chosen], means, rtol=1e-12)


def test_a_window_that_cannot_be_is_refused_in_words(series: str) -> None:
    with DataLogger() as log:
        log.ensure_series(series, {f"{series} n": "int"})
        log.write(series, **{f"{series} n": [1, 2]})
    with pytest.raises(Illegal, match=r"window\.size"):
        Client().data(log.run_handle, series, window={"size": 0, "stride": 1})
