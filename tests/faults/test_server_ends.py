"""A server that ends while rows arrive: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from tests.conftest import StartServer
from tests.faults.conftest import Size
from tests.faults.kit import Writer, assert_invariant, new_writers
from tests.faults.store import assert_whole
from tests.services.server import Server

ANSWERED_WITHIN_S = 60


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "kill -9"])
def test_acknowledged_rows_survive_and_none_is_doubled(
    start_server: StartServer,
    database_url: str | None,
    size: Size,
    seed: int,
    end: Callable[[Server], None],
) -> None:
    chance = random.Random(seed)
    server = start_server(database_url=database_url)
    writers = new_writers(server, runs=2, per_run=2)
    for _ in range(size(fast=1, full=30)):
        threads = [
            threading.Thread(target=writer.log_until_cut_off, args=(lambda: 50,))
            for writer in writers
        ]
        for thread in threads:
            thread.start()
        wait_for_more(writers)
        time.sleep(chance.uniform(0.0, 0.5))
        end(server)
        for thread in threads:
            thread.join()
        server.start()
        assert_invariant(server, writers)
    assert_whole(server)


def wait_for_more(writers: list[Writer]) -> None:
    """Until each of them has been answered at least once."""
    before = [writer.acknowledged for writer in writers]
    deadline = time.monotonic() + ANSWERED_WITHIN_S
    while any(writer.acknowledged <= had for writer, had in zip(writers, before, strict=True)):
        assert time.monotonic() < deadline, "a writer is not answered"
        time.sleep(0.01)
