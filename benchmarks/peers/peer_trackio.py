"""trackio: `local` writes its SQLite file itself; `server` posts to `trackio.show()`."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Sequence
from typing import Any

from benchmarks.peers.product import Product, Series, call
from benchmarks.peers.works import main
from tests.services.processes import free_port

PROJECT, TOKEN = "bench", "benchtoken"
BATCH = 10_000
os.environ.update(
    HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_OFFLINE="1", GRADIO_ANALYTICS_ENABLED="False"
)
SERVE = (
    "import trackio; trackio.show(open_browser=False, block_thread=True, host='127.0.0.1', "
    "server_port={})"
)


class Log:
    def __init__(self, run: str, server: str | None) -> None:
        import trackio

        self.trackio = trackio
        trackio.init(
            project=PROJECT,
            name=run,
            server_url=server,
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, loss: float) -> None:
        self.trackio.log({"loss": loss}, step=step)

    def close(self) -> None:
        self.trackio.finish()


class Trackio(Product):
    name, variants = "trackio", ("local", "server")

    def start(self) -> None:
        port = free_port()
        self.info["url"] = f"http://127.0.0.1:{port}/"
        where = {"TRACKIO_DIR": str(self.folder / "db"), "TRACKIO_WRITE_TOKEN": TOKEN}
        self.serve([sys.executable, "-c", SERVE.format(port)], port, where)

    def open(self, run: str) -> Log:
        local = self.variant == "local"
        os.environ["TRACKIO_DIR"] = str(self.folder / ("db" if local else "client"))
        return Log(run, None if local else f"{self.info['url']}?write_token={TOKEN}")

    def batch(self, run: str, steps: Sequence[int], losses: Sequence[float]) -> None:
        run_id = uuid.uuid4().hex
        for begin in range(0, len(steps), BATCH):
            logs = [
                {
                    "project": PROJECT,
                    "run": run,
                    "run_id": run_id,
                    "metrics": {"loss": loss},
                    "step": step,
                    "config": None,
                    "log_id": uuid.uuid4().hex,
                }
                for step, loss in zip(
                    steps[begin : begin + BATCH], losses[begin : begin + BATCH], strict=True
                )
            ]
            self._call("bulk_log", logs=logs, hf_token=None)

    def visible(self, run: str) -> int:
        try:
            found, _ = self._call("get_run_summary", project=PROJECT, run=run)
        except (OSError, RuntimeError):  # the run is not there yet
            return 0
        last = found.get("last_step")
        return 0 if last is None else int(last) + 1

    def read(self, runs: Sequence[str]) -> list[Series]:
        import numpy as np

        series = []
        for run in runs:
            asked = {"project": PROJECT, "run": run, "metric_name": "loss"}
            points, _ = self._call("get_metric_values", **asked)
            points.sort(key=lambda point: point["step"])
            steps = np.array([point["step"] for point in points])
            series.append((steps, np.array([point["value"] for point in points])))
        return series

    def overview(self, runs: Sequence[str]) -> tuple[int, int]:
        """At most 64 runs a request, 3,000 points a run."""
        points = size = 0
        for begin in range(0, len(runs), 64):
            asked = [{"run": run, "run_id": None} for run in runs[begin : begin + 64]]
            found, bytes_ = self._call(
                "get_logs_batch", project=PROJECT, runs=asked, scalar_only=True
            )
            points += sum(len(each["logs"]) for each in found)
            size += bytes_
        return points, size

    def _call(self, name: str, **arguments: Any) -> tuple[Any, int]:
        body = json.dumps({"args": [], "kwargs": arguments}).encode()
        headers = {"Content_Type": "application/json", "x_trackio_write_token": TOKEN}
        answer = call("POST", f"{self.info['url']}api/{name}", body, **headers)
        told = json.loads(answer)
        if told.get("error"):
            raise RuntimeError(told["error"])
        return told["data"], len(answer)


if __name__ == "__main__":
    main(Trackio)
