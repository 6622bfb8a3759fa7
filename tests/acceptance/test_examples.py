"""The programs in examples/, at a small size, against a real server: what they log is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamvis import Client, Columns, Run
from tests.services.server import Server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def database_url() -> None:
    """Programs do not know which database a server has: one is enough."""


def run_example(name: str, *options: str) -> Run:
    """The run that it made; it ended well, and said nothing on stderr."""
    before = {run.handle for run in Client().runs()}
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    [made] = [run for run in Client().runs() if run.handle not in before]
    assert made.state == "finished"
    assert made.gaps == 0
    return made


def rows(run: Run, series: str) -> Columns:
    return Client().data(run.handle, series)


def test_every_example_is_run_here_or_by_the_demo() -> None:
    tested = Path(__file__).read_text()
    apart = {"digits_sgd.py"}  # the demo's
    programs = {path.name for path in EXAMPLES.glob("*.py")} - apart
    assert {name for name in programs if f'run_example("{name}"' not in tested} == set()


def test_torch(server: Server) -> None:
    run = run_example("torch_digits.py", "--epochs", "2", "--batch-size", "120")
    training, gradients, digits = (rows(run, name) for name in ("training", "gradients", "digits"))
    assert training["step"].tolist() == list(range(24))
    assert training["loss"][-6:].mean() < training["loss"][:6].mean()
    layers = ["0.weight", "0.bias", "3.weight", "3.bias", "7.weight", "7.bias"]
    assert gradients["layer"].tolist() == layers * 24
    assert (gradients["norm"] > 0).all()
    assert digits["digit"].tolist() == list(range(10)) * 2
    assert digits["images"].sum() == 2 * 360
    assert ((digits["accuracy"] >= 0) & (digits["accuracy"] <= 1)).all()
    assert run.attributes == {"learning_rate": 3e-3, "batch_size": 120}
    assert run.tags == ("digits", "torch")


def test_jax(server: Server) -> None:
    run = run_example("jax_penalties.py", "--models", "5", "--steps", "40")
    fit, held_out = rows(run, "fit"), rows(run, "held out")
    assert fit["step"].tolist() == [step for step in range(40) for _ in range(5)]
    assert len(set(fit["penalty"].tolist())) == 5
    losses = fit["loss"].reshape(40, 5)
    np.testing.assert_allclose(losses[0], np.log(2), rtol=1e-6)  # of weights that are all 0
    assert (losses[-1, :3] < losses[0, :3]).all()
    assert held_out["step"].tolist() == [step for step in (9, 19, 29, 39) for _ in range(5)]
    assert held_out["accuracy"].max() > 0.9


def test_ranks(server: Server) -> None:
    run = run_example("ranks.py", "--ranks", "3", "--steps", "30")
    data = rows(run, "ranks")
    assert data.rows == 3 * 30
    for rank in range(3):
        mine = data["rank"] == rank
        assert data["step"][mine].tolist() == list(range(30))  # in order, each once
        assert data["loss"][mine][-1] < data["loss"][mine][0]
    assert run.attributes == {"rate": 0.5, "ranks": 3}


def test_asyncio(server: Server) -> None:
    run = run_example("asyncio_clusters.py", "--clusters", "4", "12", "--passes", "3")
    data = rows(run, "clusters")
    means = []
    for clusters in (4, 12):
        mine = data["clusters"] == clusters
        assert data["step"][mine].tolist() == list(range(3 * 29))
        assert data["distance"][mine][-10:].mean() < data["distance"][mine][1:11].mean()
        assert (data["farthest"][mine] >= data["distance"][mine]).all()
        means.append(data["distance"][mine][-10:].mean())
    assert means[1] < means[0]
    assert run.attributes == {"batch_size": 60}


def test_sensor(server: Server) -> None:
    options = ["--hertz", "40", "--seconds", "3", "--threshold", "0.5"]
    run = run_example("sensor.py", *options)
    sensor, events = rows(run, "sensor"), rows(run, "events")
    assert sensor.rows > 10
    assert (np.diff(sensor["seconds"]) > 0).all()
    assert sensor["seconds"][-1] >= 3
    assert (np.abs(events["score"]) >= 0.5).all()
    assert all("deviations from" in text for text in events["event"])
    assert set(events["seconds"]) <= set(sensor["seconds"])


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_every_example_says_how_it_is_run(name: str) -> None:
    assert f"python examples/{name}" in (EXAMPLES / name).read_text()
