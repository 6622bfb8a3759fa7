from __future__ import annotations

from django.apps import AppConfig


class PlottingConfig(AppConfig):
    name = "plotting"
