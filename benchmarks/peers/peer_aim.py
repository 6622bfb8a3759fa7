"""Aim: `local` writes into its repository's folder. Only `aim up` makes runs visible to readers."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.peers.product import Product, Series, call, disk_bytes
from benchmarks.peers.works import main
from tests.services.processes import free_port

os.environ.update(AIM_UI_TELEMETRY_ENABLED="0", __AIM_TELEMETRY="0")
AIM = Path(sys.executable).parent / "aim"


class Log:
    def __init__(self, info: dict[str, Any], run: str) -> None:
        from aim import Run

        self.run = Run(
            repo=info["repo"],
            system_tracking_interval=None,
            capture_terminal_logs=False,
            log_system_params=False,
        )
        self.run.name = run
        info.setdefault("runs", {})[run] = self.run.hash

    def log(self, step: int, loss: float) -> None:
        self.run.track(loss, name="loss", step=step)

    def close(self) -> None:
        self.run.close()


class Aim(Product):
    name, variants, writes_apart = "aim", ("local",), True

    def start(self) -> None:
        repo = self.folder / "repo"
        repo.mkdir()
        self.info["repo"] = str(repo)
        subprocess.run([AIM, "init", "--repo", repo, "-y", "-s"], check=False, capture_output=True)
        port = free_port()
        self.info["page"] = f"http://127.0.0.1:{port}"
        where = ["--host", "127.0.0.1", "--port", str(port), "--repo", str(repo), "-y"]
        self.serve([AIM, "up", *where], port)

    def disk(self) -> int:
        return disk_bytes(Path(self.info["repo"]))

    def open(self, run: str) -> Log:
        return Log(self.info, run)

    def visible(self, run: str) -> int:
        metric = self._metric(run)
        return 0 if metric is None else len(metric.data.numpy()[0])

    def read(self, runs: Sequence[str]) -> list[Series]:
        series = []
        for run in runs:
            steps, columns = self._metric(run).data.numpy()
            series.append((steps, columns[0]))
        return series

    def overview(self, runs: Sequence[str]) -> tuple[int, int]:
        """The metrics explorer, 500 points a metric as it asks by default."""
        from aim.storage.treeutils import decode_tree

        query = quote('metric.name == "loss"')
        path = f"/api/runs/search/metric/?p=500&report_progress=false&q={query}"
        answer = call("GET", self.info["page"] + path)
        found = decode_tree(_pairs(answer)).values()
        lines = [line for run in found if "traces" in run for line in run["traces"]]
        return sum(len(line["values"]["blob"]) // 8 for line in lines), len(answer)

    def _metric(self, run: str) -> Any:
        from aim import Repo, Run
        from aim.storage.context import Context

        repo = Repo.from_path(self.info["repo"])
        known = self.info.setdefault("runs", {})
        if run not in known:
            known |= {each.name: each.hash for each in repo.iter_runs() if each.name == run}
        if run not in known:
            return None
        return Run(run_hash=known[run], repo=repo, read_only=True).get_metric("loss", Context({}))


def _pairs(answer: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values, each behind its length."""
    parts = []
    at = 0
    while at < len(answer):
        (size,) = struct.unpack_from("<I", answer, at)
        parts.append(answer[at + 4 : at + 4 + size])
        at += 4 + size
    return zip(parts[::2], parts[1::2], strict=True)


if __name__ == "__main__":
    main(Aim)
