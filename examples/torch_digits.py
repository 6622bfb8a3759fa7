"""A convolutional network in torch, and what one looks at while it learns.

It learns scikit-learn's digits (1,797 images of 8 × 8). Logged are, every step, the loss and the
norm of each layer's gradient; every epoch, the accuracy on images held out, digit by digit. Losses
and norms are tensors: they stay on their device until the logger flushes, and nothing waits for it.

    python examples/torch_digits.py --epochs 5
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from streamvis import DataLogger

HELD_OUT = 360


def make_network() -> nn.Sequential:
    """8 × 8 pixels -> two convolutions -> ten logits."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def load(device: torch.device) -> tuple[Tensor, Tensor]:
    """Images (1797, 1, 8, 8) in 0 … 1 and their digits (1797,), shuffled."""
    images, digits = load_digits(return_X_y=True)
    order = torch.randperm(len(digits))
    pixels = torch.as_tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return pixels[order].to(device), torch.as_tensor(digits)[order].to(device)


def batches(count: int, size: int) -> Iterator[Tensor]:
    order = torch.randperm(count)
    for start in range(0, count, size):
        yield order[start : start + size]


def gradient_norms(network: nn.Module) -> tuple[list[str], Tensor]:
    """Each parameter's name, and the norm of its gradient (on the device)."""
    named = [(name, each.grad) for name, each in network.named_parameters()]
    norms = [gradient.norm() for _, gradient in named if gradient is not None]
    return [name for name, gradient in named if gradient is not None], torch.stack(norms)


@torch.no_grad()
def accuracies(network: nn.Module, images: Tensor, digits: Tensor) -> tuple[Tensor, Tensor]:
    """For each digit the share that is recognised (10,), and how many there are (10,)."""
    right = network(images).argmax(dim=1) == digits
    counts = torch.bincount(digits, minlength=10)
    return torch.bincount(digits[right], minlength=10) / counts, counts


def train(options: argparse.Namespace, log: DataLogger) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    images, digits = load(device)
    network = make_network().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate)
    step = 0
    for epoch in range(options.epochs):
        for batch in batches(len(digits) - HELD_OUT, options.batch_size):
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(images[batch]), digits[batch])
            loss.backward()  # type: ignore[no-untyped-call] # as torch has it
            optimizer.step()
            log.write("training", step=step, loss=loss)
            names, norms = gradient_norms(network)
            log.write("gradients", step=step, layer=names, norm=norms)  # a row for each layer
            step += 1
        shares, counts = accuracies(network, images[-HELD_OUT:], digits[-HELD_OUT:])
        log.write("digits", step=step, digit=torch.arange(10), accuracy=shares, images=counts)
        print(f"epoch {epoch}: accuracy {(shares * counts).sum() / counts.sum():.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with DataLogger() as log:
        log.ensure_series("training", {"step": "int", "loss": "float"})
        log.ensure_series("gradients", {"step": "int", "layer": "text", "norm": "float"})
        log.ensure_series(
            "digits", {"step": "int", "digit": "int", "accuracy": "float", "images": "int"}
        )
        log.ensure_field("learning_rate", "float", "step length of the gradient descent")
        log.ensure_field("batch_size", "int", "images per gradient step")
        log.set_run_attributes(learning_rate=options.learning_rate, batch_size=options.batch_size)
        log.add_run_tags("torch", "digits")
        train(options, log)
    print(f"run {log.run_handle}")


if __name__ == "__main__":
    main()
