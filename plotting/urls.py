from __future__ import annotations

from django.urls import path

from plotting import api, pages
from plotting.consumers import LiveConsumer

urlpatterns = [
    path("", pages.home, name="home"),
    path("plot/", pages.plot, name="plot"),
    path("api/v1/data/", api.Data.as_view()),
]
websocket_urlpatterns = [path("ws/live/", LiveConsumer.as_asgi())]
