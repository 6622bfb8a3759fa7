"""Each plot of the gallery: everything is drawn, in colours, and nothing is said against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.e2e.gallery import EXAMPLES, Example
from tests.e2e.plots import Plot, picture
from tests.services.server import ROOT, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, StorageState


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_drawn_whole(
    browser: Browser, server: Server, login_state: StorageState, example: Example
) -> None:
    rows = example.log()
    page = picture(browser, server, login_state, example, rows)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    plot = Plot(page)
    stats = plot.stats
    assert stats["rowsBehind"] == stats["rowsDrawn"] == rows
    assert sum(stats["notDrawn"].values()) == 0
    assert stats["warning"] == "" and errors == []
    pixels = plot.pixels().reshape(-1, 4)
    colours = len(np.unique(pixels, axis=0))
    # More than a ground and one grey: the marks are there, antialiased.
    assert colours > 10
    assert plot.marks().mean() > 0.002
    page.context.close()


def test_every_example_has_its_picture_and_is_in_the_index() -> None:
    folder = ROOT / "docs" / "gallery"
    index = (folder / "README.md").read_text()
    for example in EXAMPLES:
        file = folder / f"{example.name}.png"
        assert 5_000 < file.stat().st_size < 400_000
        assert f"![{example.title}]({example.name}.png)" in index
    assert {path.stem for path in folder.glob("*.png")} == {example.name for example in EXAMPLES}
