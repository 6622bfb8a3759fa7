"""Stochastic gradient descent on handwritten digits, logged as it goes.

A network of one hidden layer learns scikit-learn's digits (1,797 images of 8 × 8) in plain numpy.
Every step's training loss, and every 20th step's loss and accuracy on images held out, are logged:

    python examples/digits_sgd.py --learning-rate 0.1 --batch-size 32
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from streamvis import DataLogger

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
VALIDATION_EVERY_STEPS = 20
CLASSES = 10


@dataclass
class Network:
    """64 pixels -> ReLU of the hidden units -> softmax over 10 digits."""

    weights_in: Array  # (64, hidden)
    bias_in: Array  # (hidden,)
    weights_out: Array  # (hidden, 10)
    bias_out: Array  # (10,)

    @staticmethod
    def random(rng: np.random.Generator, *, hidden: int) -> Network:
        """He initialisation: variance 2 / fan-in keeps ReLU activations at their scale."""
        return Network(
            rng.normal(0, np.sqrt(2 / 64), (64, hidden)),
            np.zeros(hidden),
            rng.normal(0, np.sqrt(2 / hidden), (hidden, CLASSES)),
            np.zeros(CLASSES),
        )

    def forward(self, images: Array) -> tuple[Array, Array]:
        """Hidden activations (n, hidden) and class probabilities (n, 10)."""
        hidden = np.maximum(images @ self.weights_in + self.bias_in, 0)
        logits = hidden @ self.weights_out + self.bias_out
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return hidden, raised / raised.sum(axis=1, keepdims=True)

    def evaluate(self, images: Array, labels: Labels) -> tuple[float, float]:
        """Mean cross-entropy in nats, and the fraction of right answers."""
        return score(self.forward(images)[1], labels)

    def descend(self, images: Array, labels: Labels, rate: float) -> float:
        """One step down the gradient of the batch's mean cross-entropy; returns that before it."""
        hidden, probabilities = self.forward(images)
        loss, _ = score(probabilities, labels)
        error = (probabilities - np.eye(CLASSES)[labels]) / len(labels)
        error_in = (error @ self.weights_out.T) * (hidden > 0)
        self.weights_out -= rate * hidden.T @ error
        self.bias_out -= rate * error.sum(axis=0)
        self.weights_in -= rate * images.T @ error_in
        self.bias_in -= rate * error_in.sum(axis=0)
        return loss


def score(probabilities: Array, labels: Labels) -> tuple[float, float]:
    right = probabilities[np.arange(len(labels)), labels]
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    return float(-np.log(right + 1e-12).mean()), float(accuracy)


def batches(rng: np.random.Generator, count: int, size: int) -> Iterator[NDArray[np.intp]]:
    """Indices of one batch after the other; every epoch shuffles anew."""
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]


def train(options: argparse.Namespace) -> None:
    images, labels = load_digits(return_X_y=True)
    images = images / 16.0
    rng = np.random.default_rng(options.seed)
    order = rng.permutation(len(images))
    held_out, used = order[:360], order[360:]
    network = Network.random(rng, hidden=options.hidden)
    training, validation = (images[used], labels[used]), (images[held_out], labels[held_out])

    with DataLogger(flush_every=0.25) as log:
        log.ensure_series("training", {"step": "int", "loss": "float"})
        log.ensure_series("validation", {"step": "int", "loss": "float", "accuracy": "float"})
        log.ensure_field("learning_rate", "float", "step length of the gradient descent")
        log.ensure_field("batch_size", "int", "images per gradient step")
        log.set_run_attributes(learning_rate=options.learning_rate, batch_size=options.batch_size)
        log.add_run_tags("digits")
        try:
            learn(network, options, rng, training, validation, log)
        except KeyboardInterrupt:
            print(f"Run {log.run_handle} was stopped early; what it logged stays.")


def learn(
    network: Network,
    options: argparse.Namespace,
    rng: np.random.Generator,
    training: tuple[Array, Labels],
    validation: tuple[Array, Labels],
    log: DataLogger,
) -> None:
    """Descend step by step, at the asked pace, and log each."""
    images, labels = training
    pause_secs = 1 / options.steps_per_sec if options.steps_per_sec else 0.0
    chosen = batches(rng, len(labels), options.batch_size)
    for step, batch in zip(range(options.steps), chosen, strict=False):
        loss = network.descend(images[batch], labels[batch], options.learning_rate)
        log.write("training", step=step, loss=loss)
        if step % VALIDATION_EVERY_STEPS == 0:
            loss, accuracy = network.evaluate(*validation)
            log.write("validation", step=step, loss=loss, accuracy=accuracy)
        time.sleep(pause_secs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=32, help="hidden units")
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--steps-per-sec", type=float, default=0, help="a pace to watch; 0: as fast as it goes"
    )
    train(parser.parse_args())


if __name__ == "__main__":
    main()
