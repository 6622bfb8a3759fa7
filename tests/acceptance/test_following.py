"""Following runs through a real server: a follower holds what a reader of everything gets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from streamvis import Client, DataLogger, Follower


@pytest.fixture
def name() -> str:
    return f"followed {uuid.uuid4()}"


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as made:
        yield made


def new_logger(name: str) -> DataLogger:
    log = DataLogger()
    log.start()
    log.ensure_series(name, {f"{name} step": "int", f"{name} loss": "float"})
    log.add_run_tags(name)
    return log


def write(log: DataLogger, name: str, first: int, rows: int) -> None:
    steps = np.arange(first, first + rows)
    log.write(name, **{f"{name} step": steps, f"{name} loss": steps / 3})
    assert log.flush()


def assert_same(client: Client, follower: Follower, name: str) -> None:
    expected, held = client.data({"tags": {"all": [name]}}, name), follower.columns()
    assert held.runs == expected.runs
    np.testing.assert_array_equal(held.run, expected.run)
    for field in expected:
        np.testing.assert_array_equal(held[field], expected[field])


def test_a_follower_holds_what_a_reader_of_everything_gets(client: Client, name: str) -> None:
    one, other = new_logger(name), new_logger(name)
    write(one, name, 0, 1_000)
    write(other, name, 0, 10)
    follower = client.follow({"tags": {"all": [name]}}, name)
    assert follower.update() and not follower.update()
    assert_same(client, follower, name)

    write(one, name, 1_000, 5)
    assert follower.update() and not follower.update()
    assert_same(client, follower, name)

    client.add_run_tags(other.run_handle, "seen")
    third = new_logger(name)
    write(third, name, 0, 3)
    assert follower.update() and not follower.update()
    assert_same(client, follower, name)

    client.delete_run(one.run_handle)
    assert follower.update() and not follower.update()
    assert [run.handle for run in follower.columns().runs] == [other.run_handle, third.run_handle]
    assert_same(client, follower, name)

    client.restore_run(one.run_handle)
    other.stop()
    third.stop()
    assert follower.update()
    assert_same(client, follower, name)

    client.delete_run_tags(third.run_handle, name)
    assert follower.update()
    assert_same(client, follower, name)
    one.stop()


def test_a_replaced_run_starts_anew_for_its_followers(client: Client, name: str) -> None:
    with new_logger(name) as log:
        write(log, name, 0, 100)
    follower = client.follow({"tags": {"all": [name]}}, name)
    follower.update()
    again = DataLogger()
    again.set_run_handle(log.run_handle, replace=True)
    with again:
        again.add_run_tags(name)
        write(again, name, 7, 200)
    assert follower.update()
    assert_same(client, follower, name)
    assert follower.columns().rows == 200
