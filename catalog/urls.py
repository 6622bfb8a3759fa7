from __future__ import annotations

from django.urls import path

from catalog import api

urlpatterns = [
    path("fields/", api.FieldList.as_view()),
    path("fields/ensure", api.FieldEnsure.as_view()),
    path("fields/<str:handle>/", api.FieldDetail.as_view()),
    path("series/", api.SeriesList.as_view()),
    path("series/ensure", api.SeriesEnsure.as_view()),
    path("series/<str:handle>/", api.SeriesDetail.as_view()),
]
