from __future__ import annotations

import pytest

from accounts.models import User
from tests.catalog.kit import Api


@pytest.fixture
def api(alice: User) -> Api:
    return Api(alice)
