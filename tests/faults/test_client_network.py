"""T3: a network that refuses, cuts, drops answers, truncates, doubles, delays and swallows."""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path

import pytest
import requests

from streamvis import DataLogger
from tests.conftest import StartServer
from tests.faults.client_kit import SERIES, STEP, impatient, own_folders, stored_steps
from tests.faults.conftest import Size
from tests.faults.kit import Api
from tests.faults.proxy import FAULTS, run_proxy

SHARE = 0.4


def test_every_row_arrives_once_and_in_order(
    start_server: StartServer,
    size: Size,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_folders(monkeypatch, tmp_path)
    impatient(monkeypatch)
    server, appends = start_server(), size(fast=120, full=2_000)
    with run_proxy(server.port, seed, SHARE) as (proxy, url):
        log = DataLogger(url, server.token, flush_every=60)
        log.ensure_series(SERIES, STEP)
        log.start()
        step = 0
        while proxy.appends < appends:
            for _ in range(3):
                log.write(SERIES, step=step, loss=step / 4)
                step += 1
            assert log.flush(30)
        log.stop()
        assert stored_steps(server, log.run_handle) == list(range(step))
        assert stored_steps(server, log.run_handle, "loss") == [n / 4 for n in range(step)]
        assert log.status.declared_lost_rows == 0
        assert set(proxy.done) >= set(FAULTS) - {"black hole"}


def test_a_plain_retry_through_the_same_proxy_doubles_rows(
    start_server: StartServer, size: Size, seed: int
) -> None:
    """The control: without numbered rows the same faults leave doubles, so the proxy bites."""
    server, appends = start_server(), size(fast=60, full=400)
    api = Api.of(server)
    series = api.taken("series/ensure", {"name": SERIES, "fields": {"step": "int"}})
    run = str(uuid.uuid4())
    generation = api.open(run, replace=False)
    with run_proxy(server.port, seed, SHARE) as (_, url):
        for step in range(appends):
            _post_until_answered(url, server.token, run, generation, series["handle"], step)
    steps = stored_steps(server, run)
    assert set(steps) == set(range(appends))
    assert len(steps) > appends


def _post_until_answered(
    url: str, token: str, run: str, generation: int, series: str, step: int
) -> None:
    while True:
        body = {
            "generation": generation,
            "writer": secrets.token_hex(16),  # so that nothing says that it was sent before
            "frames": [{"series": series, "first": 0, "columns": {"step": [step]}}],
        }
        headers = {"Authorization": f"Bearer {token}"}
        try:
            answer = requests.post(
                f"{url}/api/v1/runs/{run}/append", json=body, headers=headers, timeout=0.5
            )
        except requests.RequestException:
            continue
        if answer.status_code == 200:
            return
