"""The same works by Streamvis and by its peers, in one table: `make bench-peers`.

The peers are installed into environments of their own, below a folder outside of the repository.
Works run one by one; nothing else should load the machine meanwhile. With all products it takes
about an hour, most of it installing and waiting for the slowest.

`python -m benchmarks.peers.run [--only NAME] [--points N] [--home FOLDER] [--hold COMMAND]`
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 165
TORCH = ("torch==2.13.0",)


@dataclass(frozen=True)
class Peer:
    """Attributes:
    points: for the works that a product does not finish at more in the time they have.
    """

    name: str
    variant: str
    works: tuple[str, ...]
    installs: tuple[tuple[str, ...], ...] = ()
    points: int | None = None

    def python(self, home: Path) -> Path:
        return home / self.name / "bin" / "python" if self.installs else Path(sys.executable)


ALL = ("W1", "W2", "W3", "W4,W6", "W5")
TRACKIO = (("trackio==0.43.0",),)
PEERS = (
    Peer("streamvis", "sqlite", ALL),
    Peer("streamvis", "postgres", ALL),
    Peer("trackio", "local", ("W1", "W2", "W5"), TRACKIO),
    Peer("trackio", "server", ("W4,W6",), TRACKIO),
    Peer("trackio", "server", ("W3",), TRACKIO, points=10_000),
    Peer("tensorboard", "files", ("W1", "W4,W6"), (("tensorboard==2.21.0", "numpy"), TORCH)),
    Peer("tensorboard", "files", ("W3",), (("tensorboard==2.21.0", "numpy"), TORCH), 10_000),
    Peer("aim", "local", ("W1", "W4,W6", "W5"), (("aim==3.29.1",),)),
    Peer("aim", "local", ("W3",), (("aim==3.29.1",),), 10_000),
    Peer("mlflow", "sync", ("W1", "W2", "W4,W6", "W5"), (("mlflow==3.18.0",),), 10_000),
    Peer("wandb", "offline", ("W1", "W3"), (("wandb==0.31.0",),), 10_000),
)


def install(peer: Peer, home: Path) -> bool:
    """Whether it is there."""
    if peer.python(home).exists() or not peer.installs:
        return True
    subprocess.run([sys.executable, "-m", "venv", home / peer.name], check=True)
    for wanted in peer.installs:
        done = subprocess.run([peer.python(home), "-m", "pip", "install", "-q", *wanted])
        if done.returncode:
            print(f"{peer.name} {wanted[0]} could not be installed.", file=sys.stderr)
            return False
    return True


def measure(peer: Peer, works: str, points: int, home: Path, hold: list[str]) -> list[Any]:
    answer = home / f"{peer.name}-{peer.variant}-{works}.json"
    answer.unlink(missing_ok=True)
    module = f"benchmarks.peers.peer_{peer.name}"
    where = ["--variant", peer.variant, "--json", str(answer)]
    asked = ["--work", works, "--points", str(points), *where]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "logger_client" / "src")}
    # `timeout` ends it by a signal that it can answer: what it started must not stay.
    limited = ["timeout", "--kill-after=20", str(TIMEOUT_S), str(peer.python(home))]
    done = subprocess.run([*hold, *limited, "-m", module, *asked], cwd=ROOT, env=environment)
    if done.returncode:
        print(f"{peer.name} {works} ended with {done.returncode}.", file=sys.stderr)
    found: list[Any] = json.loads(answer.read_text()) if answer.exists() else []
    return found


def as_table(results: list[Any]) -> str:
    """A line for each product, variant and work, as Markdown."""
    lines = ["| product | work | points | | load |", "|---|---|---|---|---|"]
    for one in results:
        product = f"{one['product']} {one['version']}, {one['variant']}"
        told = one["error"] or "; ".join(map(_shown, one["median"].items()))
        load = f"{one['load']:.1f}"
        lines.append(f"| {product} | {one['work']} | {one['points']:,} | {told} | {load} |")
    return "\n".join(lines)


def _shown(item: tuple[str, Any]) -> str:
    name, value = item
    number = f"{value:,.0f}" if isinstance(value, float) and value >= 100 else f"{value:.4g}"
    return f"{name} {number if isinstance(value, float) else value}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted({peer.name for peer in PEERS}))
    parser.add_argument("--points", type=int, help="of all works; else 100,000 where they finish")
    parser.add_argument("--works", help="only these, apart by spaces")
    parser.add_argument("--hold", default="", help="a command that each work is run by")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--home", type=Path, default=cache / "streamvis-peers")
    asked = parser.parse_args()
    asked.home.mkdir(parents=True, exist_ok=True)
    results: list[Any] = []
    for peer in PEERS:
        if (asked.only and peer.name not in asked.only) or not install(peer, asked.home):
            continue
        chosen = replace(peer, points=asked.points or peer.points or 100_000)
        for works in chosen.works:
            if asked.works and works not in asked.works.split():
                continue
            hold = shlex.split(asked.hold)
            results += measure(chosen, works, chosen.points or 0, asked.home, hold)
            print(as_table(results), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
