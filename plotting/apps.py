from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class PlottingConfig(AppConfig):
    name = "plotting"

    def ready(self) -> None:
        from plotting.hub import hub
        from runs.live import run_changed

        def note(change: Any, **_: Any) -> None:
            hub.note(change)

        run_changed.connect(note, weak=False, dispatch_uid="plotting.hub")
