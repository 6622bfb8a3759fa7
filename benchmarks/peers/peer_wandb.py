"""wandb, offline: writing alone. Its server is not free software, and nothing is read back."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.peers.product import Product
from benchmarks.peers.works import main

os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_CONSOLE="off")
os.environ["WANDB_ERROR_REPORTING"] = "false"


class Log:
    def __init__(self, folder: Path, run: str) -> None:
        import wandb

        quiet = wandb.Settings(
            x_disable_stats=True, x_disable_meta=True, disable_git=True, save_code=False
        )
        self.run = wandb.init(
            project="bench", name=run, mode="offline", dir=str(folder), settings=quiet
        )

    def log(self, step: int, loss: float) -> None:
        self.run.log({"loss": loss}, step=step)

    def close(self) -> None:
        self.run.finish()


class Wandb(Product):
    name, variants, has_reader = "wandb", ("offline",), False

    def open(self, run: str) -> Log:
        return Log(self.folder, run)


if __name__ == "__main__":
    main(Wandb)
