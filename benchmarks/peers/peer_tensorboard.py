"""TensorBoard: `SummaryWriter` of PyTorch writes files, `EventAccumulator` reads all of them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.peers.product import Product, Series, call, disk_bytes
from benchmarks.peers.works import main
from tests.services.processes import free_port

LOADED_TIMEOUT_S = 120


class Log:
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def log(self, step: int, loss: float) -> None:
        self.writer.add_scalar("loss", loss, step)

    def close(self) -> None:
        self.writer.close()


class TensorBoard(Product):
    name, variants = "tensorboard", ("files",)

    def start(self) -> None:
        self.logs.mkdir()

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def disk(self) -> int:
        return disk_bytes(self.logs)

    def open(self, run: str) -> Log:
        return Log(self.logs / run)

    def visible(self, run: str) -> int:
        if not (self.logs / run).is_dir():
            return 0
        if getattr(self, "_watched", None) != run:
            self._watched, self._events = run, self._accumulator(run)
        self._events.Reload()
        there = "loss" in self._events.Tags()["scalars"]
        return int(self._events.Scalars("loss")[-1].step) + 1 if there else 0

    def read(self, runs: Sequence[str]) -> list[Series]:
        import numpy as np

        series = []
        for run in runs:
            events = self._accumulator(run)
            events.Reload()
            points = events.Scalars("loss")
            steps = np.array([point.step for point in points])
            series.append((steps, np.array([point.value for point in points])))
        return series

    def overview(self, runs: Sequence[str]) -> tuple[int, int]:
        """The page posts the runs of one chart; 1,000 points a line. The first time it loads."""
        if "page" not in self.info:
            self._serve_page(runs)
        points = size = 0
        for begin in range(0, len(runs), 10):
            named = [*(("runs", run) for run in runs[begin : begin + 10]), ("tag", "loss")]
            form = {"Content_Type": "application/x-www-form-urlencoded"}
            url = f"{self.info['page']}scalars_multirun"
            answer = call("POST", url, urlencode(named).encode(), **form)
            size += len(answer)
            points += sum(map(len, json.loads(answer).values()))
        return points, size

    def _serve_page(self, runs: Sequence[str]) -> None:
        port = free_port()
        program = Path(sys.executable).parent / "tensorboard"
        where = ["--logdir", str(self.logs), "--host", "127.0.0.1", "--port", str(port)]
        self.serve([program, *where], port)
        self.info["page"] = f"http://127.0.0.1:{port}/data/plugin/scalars/"
        deadline = time.perf_counter() + LOADED_TIMEOUT_S
        last: object = None
        while time.perf_counter() < deadline:
            if len(json.loads(call("GET", f"{self.info['page']}tags"))) >= len(runs):
                asked = urlencode({"run": runs[-1], "tag": "loss"})
                found = json.loads(call("GET", f"{self.info['page']}scalars?{asked}"))
                if found[-1][1] == last:
                    return
                last = found[-1][1]
            time.sleep(0.3)

    def _accumulator(self, run: str) -> Any:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        return EventAccumulator(str(self.logs / run), size_guidance={"scalars": 0})


if __name__ == "__main__":
    main(TensorBoard)
