from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from streamvis_site import health

handler500 = "streamvis_site.troubles.answer_unhandled"
icon = RedirectView.as_view(url="/static/accounts/favicon.svg", permanent=True)
admin.site.site_header = admin.site.site_title = "Streamvis"
admin.site.index_title = "Catalogue, runs and people"

urlpatterns = [
    path(
        "favicon.ico", login_not_required(icon)
    ),  # asked for by pages that name no icon: the admin
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("", include("accounts.urls")),
    path("", include("plotting.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("catalog.urls")),
    path("api/v1/", include("runs.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]
