"""Clusters found in a stream, by coroutines that log to one run.

A source hands out scikit-learn's digits (1,797 images of 8 × 8), some at a time, as a network
would.
For each number of clusters a coroutine learns from all of them by mini-batch k-means (Sculley 2010,
"Web-scale k-means clustering") and logs how far images lie from their centres. `await log.write`
lets the others run; nothing blocks the event loop.

    python examples/asyncio_clusters.py --clusters 5 10 20 --passes 10
"""

from __future__ import annotations

import argparse
import asyncio

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from streamvis import AsyncDataLogger

Array = NDArray[np.float64]
Inbox = asyncio.Queue[Array | None]


class Clusters:
    """`centres`: (clusters, pixels); the first images seen are the first centres."""

    def __init__(self, clusters: int) -> None:
        self.centres: Array = np.empty((0, 64))
        self.counts = np.zeros(clusters)

    def learn(self, images: Array) -> Array:
        """Move centres towards the images (n, 64) nearest to them; their distances before (n,)."""
        lacking = len(self.counts) - len(self.centres)
        self.centres = np.vstack([self.centres, images[:lacking]])
        distances = np.linalg.norm(images[:, None] - self.centres[None], axis=2)
        nearest = distances.argmin(axis=1)
        for image, centre in zip(images, nearest, strict=True):
            self.counts[centre] += 1
            self.centres[centre] += (image - self.centres[centre]) / self.counts[centre]
        shortest: Array = distances.min(axis=1)
        return shortest


async def hand_out(inboxes: list[Inbox], options: argparse.Namespace) -> None:
    """Every image to every learner, `passes` times, each time in another order."""
    images = load_digits().data / 16
    rng = np.random.default_rng(options.seed)
    for _ in range(options.passes):
        for batch in np.array_split(rng.permutation(images), len(images) // options.batch_size):
            await asyncio.gather(*(inbox.put(batch) for inbox in inboxes))
            await asyncio.sleep(options.pause)
    for inbox in inboxes:
        await inbox.put(None)


async def learn(inbox: Inbox, clusters: int, log: AsyncDataLogger) -> float:
    """The mean distance of the last batch."""
    found, step, mean = Clusters(clusters), 0, float("nan")
    while (images := await inbox.get()) is not None:
        distances = found.learn(images)
        mean = float(distances.mean())
        await log.write(
            "clusters", step=step, clusters=clusters, distance=mean, farthest=distances.max()
        )
        step += 1
    return mean


async def run(options: argparse.Namespace) -> None:
    async with AsyncDataLogger() as log:
        columns = {"step": "int", "clusters": "int", "distance": "float", "farthest": "float"}
        await log.ensure_series("clusters", columns)
        await log.ensure_field("batch_size", "int", "images per step")
        log.set_run_attributes(batch_size=options.batch_size)
        log.add_run_tags("asyncio", "digits")
        inboxes: list[Inbox] = [asyncio.Queue(maxsize=2) for _ in options.clusters]
        learners = zip(inboxes, options.clusters, strict=True)
        _, *means = await asyncio.gather(
            hand_out(inboxes, options), *(learn(inbox, count, log) for inbox, count in learners)
        )
    for count, mean in zip(options.clusters, means, strict=True):
        print(f"{count:4} clusters: images lie {mean:.3f} from their centres")
    print(f"run {log.run_handle}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clusters", type=int, nargs="+", default=[5, 10, 20, 40])
    parser.add_argument("--batch-size", type=int, default=60)
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between batches")
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
