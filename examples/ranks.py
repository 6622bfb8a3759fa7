"""Several processes that train one model together, and log to one run.

Data-parallel gradient descent: each rank has its part of scikit-learn's digits, computes its
gradient, and all of them step by the mean of the gradients, so that their weights stay the same.
The first process makes the run; the ranks join it by its handle. Each rank's rows are in the order
in which it wrote them; the field `rank` tells whose they are.

    python examples/ranks.py --ranks 4 --steps 500
"""

from __future__ import annotations

import argparse
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from streamvis import DataLogger

Array = NDArray[np.float64]
CLASSES = 10


def part(rank: int, ranks: int) -> tuple[Array, NDArray[np.int64]]:
    """This rank's images (n, 65), in 0 … 1 and with a constant 1, and their digits (n,)."""
    images, digits = load_digits(return_X_y=True)
    mine = slice(rank, None, ranks)
    ones = np.ones((len(digits), 1))
    return np.hstack([images / 16, ones])[mine], digits[mine]


def gradient(weights: Array, images: Array, digits: NDArray[np.int64]) -> tuple[Array, float]:
    """Of softmax regression's mean cross-entropy in nats: gradient (65, 10), and the loss."""
    logits = images @ weights
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = raised / raised.sum(axis=1, keepdims=True)
    loss = -np.log(shares[np.arange(len(digits)), digits]).mean()
    return images.T @ (shares - np.eye(CLASSES)[digits]) / len(digits), float(loss)


def run_rank(rank: int, run: str, mean_of: Connection, options: argparse.Namespace) -> None:
    """One process: joins the run, and logs what it sees."""
    images, digits = part(rank, options.ranks)
    weights = np.zeros((images.shape[1], CLASSES))
    log = DataLogger()
    log.set_run_handle(run, replace=False)
    log.ensure_series("ranks", {"step": "int", "rank": "int", "loss": "float", "norm": "float"})
    with log:
        for step in range(options.steps):
            mine, loss = gradient(weights, images, digits)
            mean_of.send(mine)
            weights -= options.rate * mean_of.recv()
            log.write("ranks", step=step, rank=rank, loss=loss, norm=np.linalg.norm(mine))


def average(connections: list[Connection], steps: int) -> None:
    """Each step: a gradient from each rank, and their mean to all."""
    for _ in range(steps):
        mean = np.mean([each.recv() for each in connections], axis=0)
        for each in connections:
            each.send(mean)


def train(options: argparse.Namespace, run: str) -> int:
    """The number of ranks that failed."""
    context = multiprocessing.get_context("spawn")
    ranks: list[Any] = []
    connections = []
    for rank in range(options.ranks):
        near, far = context.Pipe()
        ranks.append(context.Process(target=run_rank, args=(rank, run, far, options)))
        ranks[-1].start()
        far.close()  # so that a rank that dies is noticed here
        connections.append(near)
    try:
        average(connections, options.steps)
    finally:
        for each in connections:
            each.close()
        for process in ranks:
            process.join()
    return sum(process.exitcode != 0 for process in ranks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rate", type=float, default=0.5, help="step length")
    options = parser.parse_args()
    with DataLogger() as log:
        log.ensure_field("rate", "float", "step length of the gradient descent")
        log.ensure_field("ranks", "int", "processes that train together")
        log.set_run_attributes(rate=options.rate, ranks=options.ranks)
        log.add_run_tags("ranks", "digits")
        if not log.flush(30):
            raise SystemExit("There is no server in reach; start one with `make serve`.")
        failed = train(options, log.run_handle)
    print(f"run {log.run_handle}")
    if failed:
        raise SystemExit(f"{failed} of {options.ranks} ranks failed.")


if __name__ == "__main__":
    main()
