from __future__ import annotations

from django.urls import path

from runs import api, list_api, search_api, searches_api

urlpatterns = [
    path("runs/", api.RunList.as_view()),
    path("runs/search/", search_api.RunSearch.as_view()),
    path("runs/filter/", search_api.RunFilterForms.as_view()),
    path("runs/facets/", search_api.RunFacets.as_view()),
    path("runs/common/", search_api.RunCommon.as_view()),
    path("runs/tags/", api.RunsTags.as_view()),
    path("runs/delete/", api.RunsDelete.as_view()),
    path("runs/restore/", api.RunsRestore.as_view()),
    path("runs/<str:handle>/", api.RunDetail.as_view()),
    path("runs/<str:handle>/open", api.RunOpen.as_view()),
    path("runs/<str:handle>/append", api.RunAppend.as_view()),
    path("runs/<str:handle>/cursors", api.RunCursors.as_view()),
    path("runs/<str:handle>/restore", api.RunRestore.as_view()),
    path("runs/<str:handle>/attributes", api.RunAttributes.as_view()),
    path("runs/<str:handle>/attributes/<str:field>", api.RunAttribute.as_view()),
    path("runs/<str:handle>/tags", api.RunTags.as_view()),
    path("searches/", searches_api.Searches.as_view()),
    path("searches/<str:handle>/", searches_api.Search.as_view()),
    path("tags/", api.TagList.as_view()),
    path("starts/", list_api.StartList.as_view()),
    path("attributes/", list_api.AttributeList.as_view()),
    path("attributes/<str:field>/", list_api.AttributeValues.as_view()),
]
