"""What is drawn, pixel by pixel, against brute force, with both renderers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from streamvis import DataLogger
from tests.e2e import raster
from tests.e2e.plots import Plot

if TYPE_CHECKING:
    from playwright.sync_api import Page

RENDERERS = ["webgpu", "canvas"]
VIEW: raster.View = (0.0, 100.0, -1.0, 1.0)
FIELDS = {"x": "float", "y": "float", "c": "float", "s": "float", "kind": "text", "turn": "int"}


@pytest.fixture
def series() -> str:
    return f"series {uuid.uuid4()}"


@pytest.fixture
def plot(page: Page) -> Plot:
    return Plot(page)


def log_rows(series: str, rows: int, **columns: Any) -> str:
    """A run with these columns, the others filled; its handle."""
    with DataLogger() as log:
        log.ensure_series(series, FIELDS)
        filled = {"c": 0.0, "s": 1.0, "kind": "a", "turn": np.arange(rows)} | columns
        log.write(series, **filled)
        return str(log.run_handle)


def open_at(plot: Plot, series: str, view: raster.View, **options: str) -> None:
    text = ",".join(str(end) for end in view)
    plot.open(series, x="x", y="y", view=text, **options)
    plot.wait_until("window.__streamvis.stats().rowsDrawn > 0")
    plot.page.wait_for_timeout(150)


def drawn_near(plot: Plot, expected: raster.Mask, *, by: int = 2) -> None:
    """Where something should be something is, and where something is something should be."""
    marks = plot.marks()
    assert marks.shape == expected.shape
    assert raster.strays(marks, expected, by=by) == 0
    # At the very edge a mark may be cut.
    inner = expected.copy()
    inner[:2], inner[-2:], inner[:, :2], inner[:, -2:] = False, False, False, False
    assert raster.strays(inner, marks, by=1) == 0


def shape(plot: Plot) -> tuple[int, int]:
    height, width = plot.pixels().shape[:2]
    return height, width


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("mark", ["line", "step"])
@pytest.mark.parametrize("rows", [60, 30_000])
def test_a_line_covers_the_pixels_of_its_rows_few_or_many(
    plot: Plot, series: str, renderer: str, mark: str, rows: int
) -> None:
    rng = np.random.default_rng(5)
    x = np.linspace(0, 100, rows)
    y = np.clip(np.cumsum(rng.normal(0, 2 / np.sqrt(rows), rows)), -0.95, 0.95)
    y[rows // 3 : rows // 3 + rows // 20] = np.nan
    if rows > 1000:
        y[rows // 2] = 0.99  # one row alone
    log_rows(series, rows, x=x, y=y)
    open_at(plot, series, VIEW, mark=mark, renderer=renderer)
    assert plot.stats["renderer"] == renderer
    corners = raster.stairs(x, y) if mark == "step" else (x, y)
    drawn_near(plot, raster.line(*corners, VIEW, shape(plot)))


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("rows", [400, 40_000])
def test_a_path_in_another_order_than_x_goes_through_its_rows(
    plot: Plot, series: str, renderer: str, rows: int
) -> None:
    """A spiral: x goes back and forth."""
    turn = np.arange(rows)
    angle, radius = turn / rows * 6 * np.pi, turn / rows * 0.9
    x, y = 50 + 50 * radius * np.cos(angle), radius * np.sin(angle)
    shuffled = np.random.default_rng(1).permutation(rows)
    log_rows(series, rows, x=x[shuffled], y=y[shuffled], turn=turn[shuffled])
    open_at(plot, series, VIEW, order="turn", renderer=renderer)
    drawn_near(plot, raster.line(x, y, VIEW, shape(plot)))


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize(("rows", "radius"), [(80, 2.4), (80, 6.0), (6_000, 0.8)])
def test_points_are_discs_where_the_rows_are(
    plot: Plot, series: str, renderer: str, rows: int, radius: float
) -> None:
    """Few as paths, many as stamps, or in a shader: the same discs."""
    rng = np.random.default_rng(2)
    x, y = rng.uniform(2, 98, rows), rng.uniform(-0.95, 0.95, rows)
    log_rows(series, rows, x=x, y=y)
    more = {} if radius == 2.4 else {"radius": str(radius)}
    open_at(plot, series, VIEW, mark="points", renderer=renderer, **more)
    drawn_near(plot, raster.points(x, y, radius, VIEW, shape(plot)), by=1)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_both_draws_the_line_and_its_points(plot: Plot, series: str, renderer: str) -> None:
    x, y = np.linspace(5, 95, 12), np.sin(np.arange(12)) * 0.8
    log_rows(series, 12, x=x, y=y)
    open_at(plot, series, VIEW, mark="line_points", renderer=renderer)
    at = shape(plot)
    drawn_near(plot, raster.line(x, y, VIEW, at) | raster.points(x, y, 2.4, VIEW, at))


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_area_of_points_grows_evenly_with_their_size(
    plot: Plot, series: str, renderer: str
) -> None:
    x, y, s = np.array([20.0, 50.0, 80.0]), np.zeros(3), np.array([0.0, 5.0, 10.0])
    log_rows(series, 3, x=x, y=y, s=s)
    open_at(plot, series, VIEW, mark="points", size="s", renderer=renderer)
    marks = plot.marks()
    thirds = np.array_split(marks, [int(0.35 * marks.shape[1]), int(0.65 * marks.shape[1])], axis=1)
    least, middle, most = (int(part.sum()) for part in thirds)
    assert least == pytest.approx(np.pi * 1.6**2, abs=6)
    assert most == pytest.approx(np.pi * 11**2, rel=0.08)
    assert middle == pytest.approx((least + most) / 2, rel=0.08)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_density_colours_each_cell_by_its_rows(plot: Plot, series: str, renderer: str) -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(50, 12, 30_000), rng.normal(0, 0.25, 30_000)
    log_rows(series, 30_000, x=x, y=y)
    open_at(plot, series, VIEW, mark="density", renderer=renderer)
    assert plot.stats["detail"]["cells"] == 1
    pixels = plot.pixels()
    height, width = pixels.shape[:2]
    px, py = raster.to_pixels(x, y, VIEW, (height, width))
    cells = np.zeros((height // 2 + 1, width // 2 + 1), dtype=int)
    inside = (px >= 0) & (px < width) & (py >= 0) & (py < height)
    np.add.at(cells, (py[inside].astype(int) // 2, px[inside].astype(int) // 2), 1)
    counts = np.repeat(np.repeat(cells, 2, axis=0), 2, axis=1)[:height, :width]
    assert ((counts > 0) == plot.marks()).all()
    seen = {
        int(count): {tuple(colour) for colour in pixels[counts == count][:, :3].tolist()}
        for count in np.unique(counts)
    }
    # One colour for each count, and green grows with it, as in viridis.
    assert all(len(colours) == 1 for colours in seen.values())
    greens = [next(iter(seen[count]))[1] for count in sorted(seen) if count > 0]
    assert greens == sorted(greens) and greens[-1] > greens[0] + 100
    plot.page.get_by_text("Rows in a cell").wait_for()


def colours_at(plot: Plot, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> list[list[int]]:
    pixels = plot.pixels()
    px, py = raster.to_pixels(x, y, VIEW, (pixels.shape[0], pixels.shape[1]))
    return [
        [int(v) for v in pixels[int(row), int(column), :3]]
        for row, column in zip(py, px, strict=True)
    ]


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_colour_scale_runs_from_the_least_to_the_greatest(
    plot: Plot, series: str, renderer: str
) -> None:
    x, y = np.linspace(5, 95, 9), np.zeros(9)
    log_rows(series, 9, x=x, y=y, c=np.arange(9.0) * 3)
    open_at(plot, series, VIEW, mark="points", color="c", renderer=renderer)
    seen = colours_at(plot, x, y)
    # Viridis as matplotlib has it, at 0, 0.41 and 0.82: trimmed where it vanishes on white.
    for got, wanted in (
        (seen[0], (68, 1, 84)),
        (seen[4], (42, 120, 142)),
        (seen[8], (139, 214, 70)),
    ):
        assert np.abs(np.array(got) - wanted).max() < 12
    assert len({tuple(colour) for colour in seen}) == 9


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("color", ["kind", "turn"])
def test_categories_have_colours_of_their_own(
    plot: Plot, series: str, renderer: str, color: str
) -> None:
    x, y = np.linspace(5, 95, 6), np.zeros(6)
    kinds = ["p", "q", "r", "p", "q", "r"]
    log_rows(series, 6, x=x, y=y, kind=kinds, turn=np.array([7, 8, 9, 7, 8, 9]))
    more = {"coloras": "categorical"} if color == "turn" else {}
    open_at(plot, series, VIEW, mark="points", color=color, renderer=renderer, **more)
    seen = colours_at(plot, x, y)
    assert seen[:3] == seen[3:]
    assert len({tuple(colour) for colour in seen}) == 3
    labels = plot.page.get_by_role("group", name=color).get_by_role("checkbox").all_inner_texts()
    assert labels == (["p", "q", "r"] if color == "kind" else ["7", "8", "9"])


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("scale", ["log", "symlog"])
def test_scales_put_values_where_they_belong(
    plot: Plot, series: str, renderer: str, scale: str
) -> None:
    x, y = np.linspace(5, 95, 7), np.array([1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3])
    log_rows(series, 7, x=x, y=y)
    open_at(plot, series, (0.0, 100.0, 1e-4, 1e4), mark="points", yscale=scale, renderer=renderer)

    def forward(values: Any) -> Any:
        if scale == "log":
            return np.log10(values)
        return np.sign(values) * np.log10(1 + np.abs(values))

    view = (0.0, 100.0, float(forward(1e-4)), float(forward(1e4)))
    drawn_near(plot, raster.points(x, forward(y), 2.4, view, shape(plot)), by=1)


@pytest.mark.parametrize(
    "values",
    [[1.0], [2.0] * 5, [float("nan")] * 4, [float("inf"), 1.0, float("-inf"), 2.0]],
    ids=["one row", "all equal", "all NaN", "infinities"],
)
@pytest.mark.parametrize("mark", ["line", "step", "points", "line_points"])
def test_odd_rows_make_a_picture_or_a_sentence(
    plot: Plot, series: str, values: list[float], mark: str
) -> None:
    log_rows(series, len(values), x=np.arange(len(values)) * 1.0, y=np.array(values))
    plot.open(series, x="x", y="y", mark=mark)
    plot.wait_for_rows(len(values))
    finite = int(np.isfinite(values).sum())
    plot.wait_for_drawn(finite)
    assert plot.stats["notDrawn"]["nonFinite"] == len(values) - finite
    if finite:
        assert plot.marks().any()
    else:
        plot.page.get_by_text("No row can be drawn").wait_for()


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e300])
def test_values_at_the_ends_of_float64_are_drawn(plot: Plot, series: str, scale: float) -> None:
    x, y = np.arange(20.0), np.sin(np.arange(20.0)) * scale
    log_rows(series, 20, x=x, y=y)
    plot.open(series, x="x", y="y")
    plot.wait_for_drawn(20)
    assert plot.marks().any(axis=0).mean() > 0.9


def test_a_thousand_groups_are_a_thousand_lines(plot: Plot, series: str) -> None:
    turn = np.repeat(np.arange(1000), 3)
    x = np.tile([0.0, 50.0, 100.0], 1000)
    log_rows(series, 3000, x=x, y=np.repeat(np.linspace(-1, 1, 1000), 3), turn=turn)
    plot.open(series, x="x", y="y", group="turn")
    plot.wait_for_drawn(3000)
    assert plot.stats["lines"] == 1000
    plot.page.get_by_text("900 more are drawn and not listed").wait_for()
