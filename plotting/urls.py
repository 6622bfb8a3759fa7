from __future__ import annotations

from typing import Any, cast

from django.urls import path

from plotting import api, pages, plots_api, statistics_api
from plotting.consumers import LiveConsumer

urlpatterns = [
    path("", pages.runs, name="home"),
    path("plot/", pages.plot, name="plot"),
    path("api/v1/data/", api.Data.as_view()),
    path("api/v1/follow/", api.Follow.as_view()),
    path("api/v1/statistics/", statistics_api.Statistics.as_view()),
    path("api/v1/plots/validate", plots_api.Validate.as_view()),
    path("api/v1/overview/", api.OverviewDoor.as_view()),
    path("api/v1/density/", api.DensityDoor.as_view()),
]
# Django's stubs know of no ASGI applications behind a path; Channels' router takes them.
websocket_urlpatterns: list[Any] = [path("ws/live/", cast("Any", LiveConsumer.as_asgi()))]
