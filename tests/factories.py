"""Small worlds for tests, made through the same functions as the real one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.models import User
from catalog import definitions
from runs import append, lifecycle, requests


def make_series(name: str = "training", **types: str) -> str:
    """A series with these fields; its handle."""
    fields = types or {"step": "int", "loss": "float"}
    return str(definitions.ensure_series(name=name, fields=fields).handle)


@dataclass
class Script:
    """A logging program, as the server knows it: one writer of one run."""

    owner: User
    run: str = field(default_factory=lambda: str(uuid.uuid4()))
    writer: str = field(default_factory=lambda: uuid.uuid4().hex)
    generation: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    operations: int = 0

    def open(self, *, replace: bool = True) -> Script:
        opened = lifecycle.open_run(self.run, self.owner, replace=replace, nonce=uuid.uuid4().hex)
        self.generation, self.sent, self.operations = opened.generation, {}, 0
        return self

    def write(self, series: str = "training", **columns: Sequence[Any]) -> append.Cursors:
        """Append these columns after what was sent before."""
        first = self.sent.get(series, 0)
        self.sent[series] = first + len(next(iter(columns.values())))
        return self.send(frames=[{"series": series, "first": first, "columns": columns}])

    def say(self, *ops: Mapping[str, Any]) -> append.Cursors:
        """Send operations after those sent before."""
        first, self.operations = self.operations, self.operations + len(ops)
        return self.send(meta={"first": first, "ops": list(ops)})

    def send(self, **body: Any) -> append.Cursors:
        request = {"generation": self.generation, "writer": self.writer, **body}
        return append.append(self.run, requests.from_json(request))
