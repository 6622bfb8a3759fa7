"""The shell of each page: Svelte fills it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from plotting.bundle import find_entry


def runs(request: HttpRequest) -> HttpResponse:
    return _shell(request, "Runs", "src/search/main.ts")


def plot(request: HttpRequest) -> HttpResponse:
    return _shell(request, "Plot", "src/main.ts")


def _shell(request: HttpRequest, title: str, entry: str) -> HttpResponse:
    boot = {
        "user": {"name": request.user.get_username()},
        "api": "/api/v1/",
        "live": "/ws/live/",
    }
    context = {"title": title, "boot": boot, "entry": find_entry(entry)}
    return render(request, "plotting/shell.html", context)
