from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.faults.seeds import FAILED
from tests.services.server import Server, run_server

HERE = Path(__file__).parent


class Size(Protocol):
    def __call__(self, *, fast: int, full: int) -> int: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults", choices=("fast", "full"), default="fast", help="how many of each")
    group.addoption("--seconds", type=float, help="of the 64 loggers; 600 are the long run")
    group.addoption("--seed", type=int, help="instead of a fresh one")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        kept = FAILED.get(metafunc.function.__name__, ())
        metafunc.parametrize("seed", ["fresh", *kept], indirect=True)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Printed, so that a failure shows it: `--seed` tries it again."""
    given: int | None = request.config.getoption("--seed", None)
    if given is None:
        given = secrets.randbits(32) if request.param == "fresh" else int(request.param)
    print(f"seed {given}")
    return given


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--faults", "fast") == "full")


@pytest.fixture(scope="session")
def size(full: bool) -> Size:
    """How many rounds: few in `make test`, as many as the fault matrix says in `make faults`."""

    def choose(*, fast: int, full: int) -> int:
        return full if of_full else fast

    of_full = full
    return choose


@pytest.fixture
def faulty_server(
    database_url: str | None, tmp_path: Path
) -> Iterator[Callable[[], tuple[Server, Path]]]:
    """Starts a server whose faults the file beside it decides (tests/faults/serve.py)."""
    faults = tmp_path / "faults.json"
    with ExitStack() as stack:

        def start() -> tuple[Server, Path]:
            server = run_server(
                database_url=database_url,
                environment={"TEST_FAULTS": str(faults)},
                program=(HERE / "serve.py",),
            )
            return stack.enter_context(server), faults

        yield start
