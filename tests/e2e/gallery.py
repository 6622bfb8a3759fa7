"""Plots of real data: scikit-learn's bundled data sets, and computations done here.

Each is a test (`test_gallery.py`) and a picture (`python -m tests.e2e.gallery` writes them).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets, decomposition, linear_model, preprocessing

from streamvis import DataLogger

Fields = dict[str, str]


@dataclass(frozen=True)
class Example:
    """`parameters`: of the page's address, without series."""

    name: str
    title: str
    caption: str
    log: Callable[[], int]
    parameters: dict[str, str]
    dark: bool = False
    layers: list[dict[str, str]] = field(default_factory=list)

    def query(self) -> dict[str, str]:
        query = {"series": self.name, **self.parameters}
        for number, layer in enumerate(self.layers, start=2):
            full = {"series": self.name, **layer}
            query |= {f"{number}.{key}": value for key, value in full.items()}
        return query


def log_columns(
    series: str,
    fields: Fields,
    attributes: dict[str, tuple[str, Any]] | None = None,
    units: dict[str, str] | None = None,
    **columns: Any,
) -> int:
    """One run; the number of its rows."""
    with DataLogger() as log:
        for name, data_type in fields.items():
            log.ensure_field(name, data_type, unit=(units or {}).get(name))
        log.ensure_series(series, list(fields))
        for name, (data_type, value) in (attributes or {}).items():
            log.ensure_field(name, data_type)
            log.set_run_attributes(**{name: value})
        log.write(series, **columns)
        assert log.flush(60)
    return len(next(iter(columns.values())))


def iris() -> int:
    data = datasets.load_iris()
    return log_columns(
        "iris",
        {"petal length": "float", "petal width": "float", "species": "text"},
        units={"petal length": "cm", "petal width": "cm"},
        **{
            "petal length": data.data[:, 2],
            "petal width": data.data[:, 3],
            "species": [str(data.target_names[at]) for at in data.target],
        },
    )


def wine() -> int:
    data = datasets.load_wine()
    named = dict(zip(data.feature_names, data.data.T, strict=True))
    return log_columns(
        "wine",
        {
            "alcohol": "float",
            "colour intensity": "float",
            "flavanoids": "float",
            "proline": "float",
        },
        units={"alcohol": "% vol"},
        **{
            "alcohol": named["alcohol"],
            "colour intensity": named["color_intensity"],
            "flavanoids": named["flavanoids"],
            "proline": named["proline"],
        },
    )


def digits() -> int:
    data = datasets.load_digits()
    flat = decomposition.PCA(2, random_state=0).fit_transform(data.data)
    return log_columns(
        "digits",
        {"component 1": "float", "component 2": "float", "digit": "int"},
        **{"component 1": flat[:, 0], "component 2": flat[:, 1], "digit": data.target},
    )


def _softmax_runs(rate: float, steps: int, batch: int, seed: int) -> Iterator[tuple[float, float]]:
    """Loss of each mini-batch and accuracy on held-out digits, by plain gradient descent."""
    data = datasets.load_digits()
    x = np.hstack([data.data / 16, np.ones((len(data.data), 1))])
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    train, held = order[:1400], order[1400:]
    weights = rng.normal(0, 0.01, (65, 10))
    for _ in range(steps):
        chosen = rng.choice(train, batch)
        logits = x[chosen] @ weights
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        loss = -np.log(odds[np.arange(batch), data.target[chosen]] + 1e-12).mean()
        odds[np.arange(batch), data.target[chosen]] -= 1
        weights -= rate * x[chosen].T @ odds / batch
        yield float(loss), float(((x[held] @ weights).argmax(axis=1) == data.target[held]).mean())


def sweep() -> int:
    rows = 0
    for rate in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0):
        seen = np.array(list(_softmax_runs(rate, 400, 64, seed=4)))
        attributes: dict[str, tuple[str, Any]] = {"learning rate": ("float", rate)}
        rows += log_columns(
            "sweep",
            {"step": "int", "loss": "float"},
            attributes,
            step=np.arange(400),
            loss=seen[:, 0],
        )
    return rows


def training() -> int:
    seen = np.array(list(_softmax_runs(0.1, 1200, 16, seed=1)))
    return 2 * log_columns(
        "training",
        {"step": "int", "loss": "float", "accuracy": "float"},
        step=np.arange(1200),
        loss=seen[:, 0],
        accuracy=seen[:, 1],
    )


def lorenz() -> int:
    """The Lorenz system (1963), sigma 10, rho 28, beta 8/3, by Runge-Kutta of fourth order."""

    def slope(at: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        x, y, z = at
        return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    rows, dt = 12_000, 0.005
    path = np.empty((rows, 3))
    at = np.array([1.0, 1.0, 20.0])
    for i in range(rows):
        path[i] = at
        a = slope(at)
        b = slope(at + dt / 2 * a)
        c = slope(at + dt / 2 * b)
        at = at + dt / 6 * (a + 2 * b + 2 * c + slope(at + dt * c))
    return log_columns(
        "lorenz",
        {"t": "float", "x": "float", "z": "float"},
        t=np.arange(rows) * dt,
        x=path[:, 0],
        z=path[:, 2],
    )


def bifurcation() -> int:
    """The logistic map x -> r x (1 - x), after it has settled."""
    r = np.repeat(np.linspace(2.8, 4.0, 1200), 150)
    x = np.full(len(r), 0.5)
    settle = np.tile(np.arange(150), 1200)
    current = np.full(1200, 0.4)
    rates = np.linspace(2.8, 4.0, 1200)
    for _ in range(400):
        current = rates * current * (1 - current)
    for i in range(150):
        current = rates * current * (1 - current)
        x[settle == i] = current
    return log_columns("bifurcation", {"r": "float", "x": "float"}, r=r, x=x)


def clifford() -> int:
    """Clifford Pickover's attractor, a -1.4, b 1.6, c 1.0, d 0.7."""
    rows = 600_000
    places = np.empty((rows, 2))
    x = y = 0.1
    for i in range(rows):
        x, y = (
            math.sin(-1.4 * y) + math.cos(-1.4 * x),
            math.sin(1.6 * x) + 0.7 * math.cos(1.6 * y),
        )
        places[i] = x, y
    return log_columns("clifford", {"x": "float", "y": "float"}, x=places[:, 0], y=places[:, 1])


def primes() -> int:
    n = np.arange(2, 400)
    sieve = np.ones(400, dtype=bool)
    sieve[:2] = False
    for i in range(2, 20):
        sieve[i * i :: i] = False
    return 3 * log_columns(
        "primes",
        {"n": "int", "primes up to n": "int", "n / ln n": "float", "li n": "float"},
        **{
            "n": n,
            "primes up to n": np.cumsum(sieve)[n],
            "n / ln n": n / np.log(n),
            "li n": 1.045 + np.cumsum(1 / np.log(n)) - 1 / np.log(2),
        },
    )


def daylight() -> int:
    """Hours between sunrise and sunset, by the declination of the sun (Cooper, 1969)."""
    rows = 0
    day = np.arange(365)
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + day + 1) / 365)
    for latitude in range(-60, 66, 15):
        angle = -np.tan(np.radians(latitude)) * np.tan(declination)
        hours = 24 / np.pi * np.arccos(np.clip(angle, -1, 1))
        rows += log_columns(
            "daylight",
            {"date": "int", "daylight": "float"},
            {"latitude": ("int", latitude)},
            {"date": "s", "daylight": "h"},
            date=1_767_225_600 + day * 86_400,
            daylight=hours,
        )
    return rows


def walks() -> int:
    rng = np.random.default_rng(12)
    rows = 0
    for _ in range(5):
        walk = np.cumsum(rng.choice([-1, 1], 200_000))
        rows += log_columns(
            "walks", {"step": "int", "place": "int"}, step=np.arange(200_000), place=walk
        )
    return rows


def variance() -> int:
    rows = 0
    for name in ("iris", "wine", "breast_cancer", "diabetes", "digits"):
        x = getattr(datasets, f"load_{name}")().data
        scaled = preprocessing.StandardScaler().fit_transform(x)
        shares = np.cumsum(decomposition.PCA().fit(scaled).explained_variance_ratio_)[:12]
        rows += log_columns(
            "variance",
            {"components": "int", "explained variance": "float"},
            {"data set": ("text", name.replace("_", " "))},
            **{"components": np.arange(1, len(shares) + 1), "explained variance": shares},
        )
    return rows


def lasso() -> int:
    data = datasets.load_diabetes()
    alphas, paths, _ = linear_model.lasso_path(data.data, data.target, alphas=120, eps=2e-3)
    rows = 0
    for name, path in zip(data.feature_names, paths, strict=True):
        rows += log_columns(
            "lasso",
            {"penalty": "float", "coefficient": "float"},
            {"feature": ("text", str(name))},
            penalty=alphas,
            coefficient=path,
        )
    return rows


EXAMPLES = [
    Example(
        "iris",
        "Iris",
        "Petals of three species (Fisher, 1936): points, colour by a text.",
        iris,
        {
            "x": "petal length",
            "y": "petal width",
            "color": "species",
            "mark": "points",
            "radius": "4",
        },
    ),
    Example(
        "wine",
        "Wine",
        "Four measurements of 178 wines: x, y, a colour scale, and size.",
        wine,
        {
            "x": "alcohol",
            "y": "colour intensity",
            "color": "flavanoids",
            "size": "proline",
            "mark": "points",
        },
        dark=True,
    ),
    Example(
        "digits",
        "Digits",
        "1,797 handwritten digits on their first two principal components: an int as categories.",
        digits,
        {
            "x": "component 1",
            "y": "component 2",
            "color": "digit",
            "coloras": "categorical",
            "mark": "points",
            "radius": "3",
        },
    ),
    Example(
        "sweep",
        "Learning rates",
        "Softmax regression on digits: six runs smoothed over their raw lines, coloured by rate.",
        sweep,
        {
            "x": "step",
            "y": "loss",
            "color": "attr:learning rate",
            "yscale": "log",
            "smooth": "ema:15",
        },
        dark=True,
    ),
    Example(
        "training",
        "Loss and accuracy",
        "Two layers over one x, each with a y axis of its own.",
        training,
        {"x": "step", "y": "loss", "smooth": "ema:20"},
        layers=[{"x": "step", "y": "accuracy", "yaxis": "right"}],
    ),
    Example(
        "lorenz",
        "The Lorenz attractor",
        "A path in the order of time, coloured by it.",
        lorenz,
        {"x": "x", "y": "z", "order": "t", "color": "t", "width": "1"},
        dark=True,
    ),
    Example(
        "bifurcation",
        "The logistic map",
        "180,000 points; above 100,000 in view one stands for each pixel that has any.",
        bifurcation,
        {"x": "r", "y": "x", "mark": "points", "radius": "0.5"},
    ),
    Example(
        "clifford",
        "Clifford's attractor",
        "600,000 rows counted cell by cell: density, its scale by the logarithm.",
        clifford,
        {"x": "x", "y": "y", "mark": "density"},
        dark=True,
    ),
    Example(
        "primes",
        "How many primes",
        "A step line beside two that run through it, on shared axes.",
        primes,
        {"x": "n", "y": "primes up to n", "mark": "step", "width": "1.8"},
        layers=[{"x": "n", "y": "n / ln n"}, {"x": "n", "y": "li n"}],
    ),
    Example(
        "daylight",
        "Daylight",
        "A year on an axis of time, coloured by latitude.",
        daylight,
        {"x": "date", "y": "daylight", "xscale": "time", "color": "attr:latitude", "width": "2"},
        dark=True,
    ),
    Example(
        "walks",
        "Random walks",
        "A million rows: every pixel column's first, least, greatest and last.",
        walks,
        {"x": "step", "y": "place"},
    ),
    Example(
        "variance",
        "Explained variance",
        "Lines and points, grouped by a text attribute, with labels.",
        variance,
        {
            "x": "components",
            "y": "explained variance",
            "group": "attr:data set",
            "mark": "line_points",
            "label": "attr:data set",
            "radius": "3",
        },
    ),
    Example(
        "lasso",
        "The lasso's path",
        "Coefficients of the diabetes data against the penalty, on a log axis.",
        lasso,
        {
            "x": "penalty",
            "y": "coefficient",
            "group": "attr:feature",
            "xscale": "log",
            "width": "2",
        },
    ),
]


def write_index(folder: Path) -> None:
    parts = [
        "# Gallery\n\nReal data, real computations; each is a test "
        "(`tests/e2e/test_gallery.py`) and a picture.\n"
    ]
    for example in EXAMPLES:
        parameters = "&".join(f"{key}={value}" for key, value in example.query().items())
        parts.append(
            f"## {example.title}\n{example.caption}\n\n"
            f"![{example.title}]({example.name}.png)\n\n`/plot/?{parameters}`\n"
        )
    (folder / "README.md").write_text("\n".join(parts))


def main() -> None:
    """Write all pictures and their index to docs/gallery, or those that are named."""
    import os

    from tests.e2e.plots import picture
    from tests.services.chromium import run_chromium
    from tests.services.server import ROOT, run_server

    folder = ROOT / "docs" / "gallery"
    folder.mkdir(exist_ok=True)
    with run_server() as server, run_chromium() as browser:
        os.environ |= {"HOME": str(server.home), "STREAMVIS_URL": server.url}
        os.environ["STREAMVIS_SPOOL"] = str(server.folder / "spool")
        context = browser.new_context()
        context.new_page().goto(server.login_url)
        state = context.storage_state()
        for example in EXAMPLES:
            if len(sys.argv) == 1 or example.name in sys.argv[1:]:
                rows = example.log()
                picture(browser, server, state, example, rows).screenshot(
                    path=folder / f"{example.name}.png", type="png"
                )
    write_index(folder)


if __name__ == "__main__":
    main()
