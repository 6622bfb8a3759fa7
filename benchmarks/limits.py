"""What this machine can do at most, measured in the same run as what we do on it."""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import Figure, repeat, seconds

MEMCPY_BYTES = 2**28
BLOB_BYTES = 2**18
BLOBS = 256
CALLS = 100_000


@dataclass(frozen=True)
class Limits:
    memcpy_mb_s: Figure
    post_mb_s: Figure
    posts_s: Figure
    sqlite_mb_s: Figure
    postgres_mb_s: Figure | None
    empty_calls_s: Figure

    def figures(self) -> list[Figure]:
        found = (self.memcpy_mb_s, self.post_mb_s, self.posts_s, self.sqlite_mb_s)
        more = (self.postgres_mb_s, self.empty_calls_s)
        return [figure for figure in (*found, *more) if figure is not None]

    def store_mb_s(self, *, postgres: bool) -> Figure:
        """The narrowest place on the way in: the wire or the store."""
        store = self.postgres_mb_s if postgres and self.postgres_mb_s else self.sqlite_mb_s
        return min(self.post_mb_s, store, key=lambda figure: figure.median)


def measure_limits(*, postgres_url: str | None) -> Limits:
    with _bare_server() as port:
        post_mb_s = repeat(lambda: _posts_per_s(port, size=2**20, times=200) * 2**20 / 1e6)
        posts_s = repeat(lambda: _posts_per_s(port, size=2**10, times=2_000))
    return Limits(
        Figure("memcpy", "MB/s", repeat(_memcpy_mb_s)),
        Figure("loopback POST of 1 MiB", "MB/s", post_mb_s),
        Figure("loopback POST of 1 KiB", "requests/s", posts_s),
        Figure("SQLite 256 KiB blobs, WAL, FULL", "MB/s", repeat(_sqlite_mb_s)),
        _postgres(postgres_url),
        Figure("calls of an empty function", "calls/s", repeat(_empty_calls_s)),
    )


def _postgres(url: str | None) -> Figure | None:
    if url is None:
        return None
    return Figure("PostgreSQL 256 KiB blobs", "MB/s", repeat(lambda: _postgres_mb_s(url)))


def _memcpy_mb_s() -> float:
    source = np.ones(MEMCPY_BYTES, np.uint8)
    target = np.ones_like(source)
    return MEMCPY_BYTES / seconds(lambda: np.copyto(target, source)) / 1e6


def _empty_calls_s() -> float:
    def write(series: str, /, **values: object) -> None: ...

    def calls() -> None:
        for step in range(CALLS):
            write("training", step=step, loss=0.5)

    return CALLS / seconds(calls)


def _posts_per_s(port: int, *, size: int, times: int) -> float:
    body = b"x" * size
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:

        def post() -> None:
            connection.request("POST", "/", body)
            connection.getresponse().read()

        post()

        def posts() -> None:
            for _ in range(times):
                post()

        return times / seconds(posts)


@contextmanager
def _bare_server() -> Iterator[int]:
    """In a process of its own: in a thread it would share the interpreter with its client."""
    spawning = multiprocessing.get_context("spawn")
    ports: multiprocessing.Queue[int] = spawning.Queue()
    child = spawning.Process(target=_serve, args=(ports,), daemon=True)
    child.start()
    try:
        yield ports.get(timeout=30)
    finally:
        child.terminate()
        child.join()


def _serve(ports: multiprocessing.Queue[int]) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_answer_posts, "127.0.0.1", 0, limit=2**24)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _answer_posts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads a body and answers 204: what is left is the kernel, asyncio and http.client."""
    with closing(writer):
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()


def _sqlite_mb_s() -> float:
    blob = os.urandom(BLOB_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "limit.sqlite3"
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("CREATE TABLE chunk (id INTEGER PRIMARY KEY, data BLOB)")

            def insert() -> None:
                for _ in range(BLOBS):
                    connection.execute("INSERT INTO chunk (data) VALUES (?)", (blob,))

            return BLOBS * BLOB_BYTES / seconds(insert) / 1e6


def _postgres_mb_s(url: str) -> float:
    import psycopg

    blob = os.urandom(BLOB_BYTES)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE chunk (data bytea)")
        connection.execute("ALTER TABLE chunk ALTER data SET STORAGE EXTERNAL")

        def insert() -> None:
            for _ in range(BLOBS):
                connection.execute("INSERT INTO chunk VALUES (%b)", (blob,))

        return BLOBS * BLOB_BYTES / seconds(insert) / 1e6
