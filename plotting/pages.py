"""The shell of each page: Svelte fills it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from plotting.bundle import find_entry


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(reverse("plot"))


def plot(request: HttpRequest) -> HttpResponse:
    boot = {
        "user": {"name": request.user.get_username()},
        "api": "/api/v1/",
        "live": "/ws/live/",
    }
    return render(request, "plotting/plot.html", {"boot": boot, "entry": find_entry("src/main.ts")})
