"""MLflow: its tracking server on SQLite; one request for each call, as is its default."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from benchmarks.peers.product import Product, Series, call
from benchmarks.peers.works import main
from tests.services.processes import free_port

BATCH = 1_000  # the server's limit
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")


class Log:
    def __init__(self, info: dict[str, Any], run: str) -> None:
        import mlflow

        self.mlflow = mlflow
        mlflow.set_tracking_uri(info["url"])
        started = mlflow.start_run(run_name=run)
        info.setdefault("runs", {})[run] = started.info.run_id

    def log(self, step: int, loss: float) -> None:
        self.mlflow.log_metric("loss", loss, step=step)

    def close(self) -> None:
        self.mlflow.end_run()


class MLflow(Product):
    name, variants = "mlflow", ("sync",)

    def start(self) -> None:
        port = free_port()
        self.info["url"] = f"http://127.0.0.1:{port}"
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/ml.db"]
        where = ["--host", "127.0.0.1", "--port", str(port)]
        art = ["--default-artifact-root", str(self.folder / "art")]
        self.serve([sys.executable, "-m", "mlflow", "server", *where, *store, *art], port)

    def disk(self) -> int:
        return sum(path.lstat().st_blocks * 512 for path in self.folder.glob("ml.db*"))

    def open(self, run: str) -> Log:
        return Log(self.info, run)

    @property
    def client(self) -> Any:
        if not hasattr(self, "_client"):
            from mlflow import MlflowClient

            self._client = MlflowClient(self.info["url"])
        return self._client

    def batch(self, run: str, steps: Sequence[int], losses: Sequence[float]) -> None:
        from mlflow.entities import Metric

        made = self.client.create_run("0", run_name=run).info.run_id
        self.info.setdefault("runs", {})[run] = made
        at = int(time.time() * 1000)
        metrics = [Metric("loss", loss, at, step) for step, loss in zip(steps, losses, strict=True)]
        for begin in range(0, len(metrics), BATCH):
            self.client.log_batch(made, metrics=metrics[begin : begin + BATCH])
        self.client.set_terminated(made)

    def visible(self, run: str) -> int:
        run_id = self._run_id(run)
        if run_id is None:
            return 0
        path = f"/api/2.0/mlflow/runs/get?{urlencode({'run_id': run_id})}"
        data = json.loads(call("GET", self.info["url"] + path))["run"]["data"]
        last = [each for each in data.get("metrics", ()) if each["key"] == "loss"]
        return int(last[0]["step"]) + 1 if last else 0

    def read(self, runs: Sequence[str]) -> list[Series]:
        import numpy as np

        series = []
        for run in runs:
            points = self.client.get_metric_history(self._run_id(run), "loss")
            points = sorted(points, key=lambda point: point.step)
            steps = np.array([point.step for point in points])
            series.append((steps, np.array([point.value for point in points])))
        return series

    def overview(self, runs: Sequence[str]) -> tuple[int, int]:
        """The page's charts: 100 runs a request, 320 points a run."""
        ids = [("run_ids", self._run_id(run)) for run in runs]
        query = urlencode([*ids, ("metric_key", "loss"), ("max_results", "320")])
        path = f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?{query}"
        answer = call("GET", self.info["url"] + path)
        return len(json.loads(answer)["metrics"]), len(answer)

    def _run_id(self, run: str) -> str | None:
        known: dict[str, str] = self.info.setdefault("runs", {})
        if run not in known:
            found = self.client.search_runs(["0"], f"tags.mlflow.runName = '{run}'")
            if not found:
                return None
            known[run] = found[0].info.run_id
        return known[run]


if __name__ == "__main__":
    main(MLflow)
