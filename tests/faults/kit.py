"""Writers that speak the append protocol by hand, and the invariant that holds for what they sent.

Every row follows from its writer and its number, so that what is stored can be judged without a
record of what was sent.
"""

from __future__ import annotations

import math
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import requests

from tests.faults.wire import FIELDS, MEDIA_TYPE, Chain, append_frame, rows_frame
from tests.services.server import Server

SERIES = "written"
ARROW = "application/vnd.apache.arrow.stream"


@dataclass
class Api:
    """One person's or script's connection; no redirects, no retries, every status an answer."""

    url: str
    token: str
    timeout_s: float = 60
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    @classmethod
    def of(cls, server: Server) -> Api:
        return cls(server.url, server.token)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        given: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.session.request(
            method,
            f"{self.url}/api/v1/{path}",
            headers={"Authorization": f"Bearer {self.token}", **headers},
            timeout=self.timeout_s,
            allow_redirects=False,
            **given,
        )

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        return self.send("POST", path, body, **headers)

    def taken(self, path: str, body: Any = None) -> Any:
        """The answer to a request that must be carried out."""
        answer = self.post(path, body)
        assert answer.status_code in (200, 201), (path, answer.status_code, answer.text)
        return answer.json()

    def open(self, run: str, *, replace: bool) -> int:
        body = {"replace": replace, "nonce": secrets.token_hex(16)}
        return int(self.taken(f"runs/{run}/open", body)["generation"])


@dataclass(frozen=True)
class Written:
    """The series that all writers write: its handle, and those of its fields by name."""

    handle: str
    fields: Mapping[str, str]


def make_series(server: Server) -> Written:
    made = Api.of(server).taken("series/ensure", {"name": SERIES, "fields": FIELDS})
    return Written(made["handle"], {known["name"]: known["handle"] for known in made["fields"]})


@dataclass
class Writer:
    """One logger object.

    Attributes:
        written: rows that were ever sent, answered or not.
        acknowledged: rows that the server said it has.
    """

    api: Api
    run: str
    generation: int
    series: Written
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    written: int = 0
    acknowledged: int = 0

    def __post_init__(self) -> None:
        self.chain = Chain(self.id)

    def send(self, first: int, stop: int) -> requests.Response:
        """Rows first … stop−1; what a 200 acknowledges is noted."""
        self.written = max(self.written, stop)
        path = f"runs/{self.run}/append"
        answer = self.api.post(path, self.message(first, stop), **{"Content-Type": MEDIA_TYPE})
        if answer.status_code == 200:
            self.acknowledged = answer.json()["cursors"][self.series.handle]
        return answer

    def message(self, first: int, stop: int) -> bytes:
        series, crc = self.series, self.chain.at(stop)
        rows = rows_frame(series.handle, series.fields, self.id, first, stop, crc)
        return append_frame(self.generation, self.id) + rows

    def log(self, rows: int) -> requests.Response:
        """The rows after those that are acknowledged."""
        return self.send(self.acknowledged, self.acknowledged + rows)

    def log_until_cut_off(self, rows: Callable[[], int]) -> None:
        """As fast as the server takes them, until a connection breaks."""
        try:
            while True:
                answer = self.log(rows())
                assert answer.status_code == 200, answer.text
        except requests.RequestException:
            return


def new_writers(server: Server, *, runs: int, per_run: int) -> list[Writer]:
    series, writers = make_series(server), []
    for _ in range(runs):
        run = str(uuid.uuid4())
        generation = Api.of(server).open(run, replace=False)
        for _ in range(per_run):
            writers.append(Writer(Api.of(server), run, generation, series))
    return writers


def assert_invariant(server: Server, writers: Iterable[Writer]) -> None:
    """INV: every writer's rows are a prefix of what it wrote, in order, each once, bit for bit;
    nothing else is there; what was acknowledged is there; the check values are equal.
    """
    by_run: dict[str, list[Writer]] = {}
    for writer in writers:
        by_run.setdefault(writer.run, []).append(writer)
    api = Api.of(server)
    for run, its_writers in by_run.items():
        stored = read_table(api, run)
        counts = [_assert_prefix(stored, writer) for writer in its_writers]
        assert stored.num_rows == sum(counts), (run, stored.num_rows, counts)
        for writer, rows in zip(its_writers, counts, strict=True):
            _assert_known(writer, rows)


def read_table(api: Api, run: str) -> pyarrow.Table:
    """All rows of a run, in order; the columns are of one length by the form of the answer."""
    answer = api.post("data/", {"series": SERIES, "filter": {"handles": [run]}}, Accept=ARROW)
    assert answer.status_code == 200, answer.text
    return pyarrow.ipc.open_stream(answer.content).read_all()


def _assert_prefix(stored: pyarrow.Table, writer: Writer) -> int:
    """How many rows of this writer are stored."""
    mine = stored.filter(pyarrow.compute.equal(stored.column("writer"), writer.id))
    numbers = np.arange(mine.num_rows)
    assert mine.column("n").to_numpy().tolist() == numbers.tolist(), writer
    assert (mine.column("value").to_numpy() == numbers * 0.1).all(), writer
    assert (mine.column("third").to_numpy() == (numbers % 3 == 0)).all(), writer
    assert writer.acknowledged <= mine.num_rows <= writer.written, (mine.num_rows, writer)
    return int(mine.num_rows)


def _assert_known(writer: Writer, rows: int) -> None:
    """The server's cursor is the number of rows, and its check values are those of the rows."""
    asked = f"runs/{writer.run}/cursors?writer={writer.id}"
    cursors = writer.api.send("GET", asked).json()["cursors"]
    assert cursors.get(writer.series.handle, 0) == rows, writer
    if rows:
        answer = writer.send(max(0, rows - 3), rows)
        assert answer.status_code == 200, answer.text


def nearest_rank(values: Sequence[float], share: float) -> float:
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
