"""What a run ended as is told, also when the end falls into a moment in which nothing waits."""

from __future__ import annotations

import time
from typing import Any

import pytest

from streamvis import pacing
from streamvis.keeper import Keeper


def test_a_logger_without_rows_that_was_kept_alive_says_how_it_ended(
    make_logger: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_end = Keeper._say_end

    def slowly(keeper: Keeper) -> None:
        say_end(keeper)
        time.sleep(0.2)  # heartbeats are sent and answered meanwhile

    monkeypatch.setattr(Keeper, "_say_end", slowly)
    monkeypatch.setattr(pacing, "HEARTBEAT_SECS", 0.01)
    with make_logger() as log:
        log.add_run_tags("a")
        assert log.flush(10)
        time.sleep(0.1)
    assert [op["op"] for op in server.ops(log.run_handle)] == ["add_tags", "state"]
