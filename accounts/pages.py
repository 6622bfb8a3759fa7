"""Logging in: with a password, or with a one-time link that `serve` prints."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.credentials import use_login_link


@login_not_required
def login_once(request: HttpRequest, secret: str) -> HttpResponse:
    """Log in with a link that works once, then go on to `?next=`."""
    target = request.GET.get("next", "/")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = "/"
    if request.user.is_authenticated:
        return HttpResponseRedirect(target)  # a reload or a second tab: the link stays unused
    user = use_login_link(secret)
    if user is None:
        return render(request, "accounts/link_used.html", status=410)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponseRedirect(target)
