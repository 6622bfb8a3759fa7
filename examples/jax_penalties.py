"""Logistic regressions for many penalties at once in jax, logged as arrays.

Which breast tumours of scikit-learn's data (569 patients, 30 measurements) are malignant? One model
for each penalty, trained side by side by `vmap`. A call of `write` gives an array for each field;
their shapes broadcast, so one line logs a row for each model. The arrays stay on their device until
the logger flushes.

    python examples/jax_penalties.py --steps 300 --models 12
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import jax.numpy as jnp
from sklearn.datasets import load_breast_cancer

from streamvis import DataLogger

HELD_OUT = 169
Array = jax.Array


def load(seed: int) -> tuple[Array, Array]:
    """Measurements (569, 31), standardised, the last one 1; and 1.0 for malignant (569,)."""
    measured, benign = load_breast_cancer(return_X_y=True)
    x = jnp.asarray(measured)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    order = jax.random.permutation(jax.random.key(seed), len(x))
    x = jnp.concatenate([x, jnp.ones((len(x), 1))], axis=1)
    return x[order], 1.0 - jnp.asarray(benign, dtype=x.dtype)[order]


def loss(weights: Array, penalty: Array, x: Array, y: Array) -> Array:
    """Mean cross-entropy in nats, and the penalty on the squared weights (not the constant's)."""
    logits = x @ weights
    entropy = jnp.mean(jnp.logaddexp(0.0, logits) - y * logits)
    return entropy + penalty * jnp.sum(weights[:-1] ** 2)


@jax.jit
def descend(weights: Array, penalties: Array, x: Array, y: Array, rate: float) -> Any:
    """One step of all models: weights (models, 31), and the losses before it (models,)."""
    losses, gradients = jax.vmap(jax.value_and_grad(loss), in_axes=(0, 0, None, None))(
        weights, penalties, x, y
    )
    return weights - rate * gradients, losses


@jax.jit
def assess(weights: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Each model's accuracy and mean cross-entropy on these patients: (models,) each."""
    logits = weights @ x.T
    entropy = jnp.mean(jnp.logaddexp(0.0, logits) - y * logits, axis=1)
    return jnp.mean((logits > 0) == (y > 0.5), axis=1), entropy


def train(options: argparse.Namespace, log: DataLogger) -> None:
    x, y = load(options.seed)
    seen, unseen = (x[HELD_OUT:], y[HELD_OUT:]), (x[:HELD_OUT], y[:HELD_OUT])
    penalties = jnp.logspace(-5, 1, options.models)
    weights = jnp.zeros((options.models, x.shape[1]))
    for step in range(options.steps):
        weights, losses = descend(weights, penalties, *seen, options.rate)
        log.write("fit", step=step, penalty=penalties, loss=losses)  # a row for each model
        if step % 10 == 9:
            accuracy, entropy = assess(weights, *unseen)
            log.write("held out", step=step, penalty=penalties, accuracy=accuracy, loss=entropy)
    best = int(accuracy.argmax())
    print(f"penalty {float(penalties[best]):.2g}: accuracy {float(accuracy[best]):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=24)
    parser.add_argument("--steps", type=int, default=1_000, help="at least 10")
    parser.add_argument("--rate", type=float, default=0.05, help="step length")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with DataLogger() as log:
        log.ensure_series("fit", {"step": "int", "penalty": "float", "loss": "float"})
        log.ensure_series(
            "held out",
            {"step": "int", "penalty": "float", "accuracy": "float", "loss": "float"},
        )
        log.ensure_field("rate", "float", "step length of the gradient descent")
        log.set_run_attributes(rate=options.rate)
        log.add_run_tags("jax", "penalties")
        train(options, log)
    print(f"run {log.run_handle}")


if __name__ == "__main__":
    main()
