from __future__ import annotations

from django.urls import path

from runs import api

urlpatterns = [
    path("runs/", api.RunList.as_view()),
    path("runs/search/", api.RunSearch.as_view()),
    path("runs/filter/", api.RunFilterForms.as_view()),
    path("runs/common/", api.RunCommon.as_view()),
    path("runs/tags/", api.RunsTags.as_view()),
    path("runs/<str:handle>/", api.RunDetail.as_view()),
    path("runs/<str:handle>/open", api.RunOpen.as_view()),
    path("runs/<str:handle>/append", api.RunAppend.as_view()),
    path("runs/<str:handle>/cursors", api.RunCursors.as_view()),
    path("runs/<str:handle>/restore", api.RunRestore.as_view()),
    path("runs/<str:handle>/attributes", api.RunAttributes.as_view()),
    path("runs/<str:handle>/attributes/<str:field>", api.RunAttribute.as_view()),
    path("runs/<str:handle>/tags", api.RunTags.as_view()),
    path("tags/", api.TagList.as_view()),
]
