from __future__ import annotations

import pytest

from accounts.models import User
from catalog.snapshot import SeriesInfo
from runs.lifecycle import create_run
from tests.catalog.kit import Api
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
