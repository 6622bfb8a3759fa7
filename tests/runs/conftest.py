from __future__ import annotations

import pytest

from accounts.models import User
from catalog import definitions
from catalog.snapshot import SeriesInfo
from runs.lifecycle import create_run
from tests.catalog.kit import Api
from tests.runs.filter_world import TYPES, Known, make_known
from tests.runs.kit import Writer, make_series


@pytest.fixture
def api(alice: User) -> Api:
    return Api(alice)


@pytest.fixture
def training(db: None) -> SeriesInfo:
    return make_series()


@pytest.fixture
def run(alice: User) -> str:
    """The handle of a run of alice's, generation 1."""
    return str(create_run(alice).run.handle)


@pytest.fixture
def writer(run: str) -> Writer:
    return Writer(run, 1)


@pytest.fixture
def series(db: None) -> dict[str, SeriesInfo]:
    """Two series, `s` and `t`, and a field of each type."""
    for name, data_type in TYPES.items():
        definitions.create_field(name=name, data_type=data_type)
    return {name: make_series(name, {"n": "int"}) for name in ("s", "t")}


@pytest.fixture
def known(alice: User, bob: User, series: dict[str, SeriesInfo]) -> list[Known]:
    """Runs with all that a filter can ask for."""
    return make_known(alice, bob, series)
