"""The ASGI application: limits, appends, static files, HTTP by Django, WebSockets by Channels."""

from __future__ import annotations

import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "streamvis_site.settings")
django_application = get_asgi_application()  # before any import that needs the apps

from plotting.hub import hub  # noqa: E402
from plotting.urls import websocket_urlpatterns  # noqa: E402
from runs.append_door import take_appends  # noqa: E402
from streamvis_site.limits import Receive, Scope, Send, limit_bodies  # noqa: E402
from streamvis_site.static import serve_static  # noqa: E402

_router: Any = limit_bodies(
    take_appends(
        serve_static(
            ProtocolTypeRouter(
                {
                    "http": django_application,
                    "websocket": SessionMiddlewareStack(URLRouter(websocket_urlpatterns)),
                }
            )
        )
    )
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Starts the hub on the server's event loop, and stops it with the server."""
    hub.start()  # Daphne tells no lifespan: the first request starts it there
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await _router(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await hub.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
