"""Streamvis itself: `manage.py serve` on SQLite or PostgreSQL, and the client."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from benchmarks.peers.product import Product, Series, call, disk_bytes
from benchmarks.peers.works import main
from streamvis import Client, DataLogger
from tests.services.postgres import run_postgres
from tests.services.server import Server

SERIES, FIELDS = "training", {"step": "int", "loss": "float"}


def handle_of(run: str) -> str:
    return str(uuid5(NAMESPACE_URL, run))


class Log:
    def __init__(self, info: dict[str, Any], run: str) -> None:
        os.environ["STREAMVIS_SPOOL"] = info["spool"]
        self.logger = DataLogger(info["url"], info["token"])
        self.logger.set_run_handle(handle_of(run), replace=True)
        self.logger.start()
        self.logger.ensure_series(SERIES, FIELDS)

    def log(self, step: int, loss: float) -> None:
        self.logger.write(SERIES, step=step, loss=loss)

    def close(self) -> None:
        self.logger.stop()


class Streamvis(Product):
    name, variants = "streamvis", ("sqlite", "postgres")

    def start(self) -> None:
        self.stack = ExitStack()
        url = None
        if self.variant == "postgres":
            self.postgres = self.stack.enter_context(run_postgres(durable=True))
            url = self.postgres.new_database()
        self.server = Server(self.folder, url)
        self.server.start()
        self.info.update(url=self.server.url, token=self.server.token)
        self.info["spool"] = str(self.folder / "spool")

    def stop(self) -> None:
        self.server.stop()
        self.stack.close()

    def open(self, run: str) -> Log:
        return Log(self.info, run)

    def batch(self, run: str, steps: Sequence[int], losses: Sequence[float]) -> None:
        log = self.open(run)
        log.logger.write(SERIES, step=np.asarray(steps), loss=np.asarray(losses, "f4"))
        log.close()

    @property
    def client(self) -> Client:
        if not hasattr(self, "_client"):
            self._client = Client(self.info["url"], self.info["token"])
        return self._client

    def visible(self, run: str) -> int:
        return sum(self.client.run(handle_of(run)).rows.values())

    def read(self, runs: Sequence[str]) -> list[Series]:
        columns = self.client.data([handle_of(run) for run in runs], SERIES)
        order = [run.handle for run in columns.runs]
        stops = np.searchsorted(columns.run, np.arange(1, len(order)))
        parts = zip(np.split(columns["step"], stops), np.split(columns["loss"], stops), strict=True)
        by_run = dict(zip(order, parts, strict=True))
        return [by_run[handle_of(run)] for run in runs]

    def overview(self, runs: Sequence[str]) -> tuple[int, int]:
        """The page fetches the rows themselves, as long as they fit on the GPU: all of them."""
        columns = {"series": SERIES, "filter": {"handles": [handle_of(run) for run in runs]}}
        import json

        body = json.dumps({**columns, "fields": ["step", "loss"]}).encode()
        headers = {
            "Authorization": f"Bearer {self.info['token']}",
            "Content_Type": "application/json",
            "Accept": "application/vnd.streamvis.frames",
        }
        answer = call("POST", f"{self.info['url']}/api/v1/data/", body, **headers)
        return sum(map(self.visible_rows, [answer])), len(answer)

    @staticmethod
    def visible_rows(message: bytes) -> int:
        from streamvis.frames import decode

        return sum(frame.rows for frame in decode(message) if frame.kind == "rows")

    def disk(self) -> int:
        if self.variant == "sqlite":
            return disk_bytes(self.server.data)
        import psycopg

        with psycopg.connect(str(self.server.database_url)) as connection:
            found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(found[0]) if found else 0

    def version(self) -> str:
        from importlib.metadata import version

        return version("streamvis")


if __name__ == "__main__":
    main(Streamvis)
