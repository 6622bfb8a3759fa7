from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from accounts import pages

urlpatterns = [
    path(
        "login/",
        LoginView.as_view(template_name="accounts/login.html", redirect_authenticated_user=True),
        name="login",
    ),
    path("login/once/<str:secret>/", pages.login_once, name="login-once"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
