"""What every admin page of ours shares: domain functions write, and a refusal is a form error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import cached_property

from catalog.errors import Refused

COUNT_AT_MOST = 10_000

REFUSAL = "_refusal"  # where a request carries what the domain refused, to the form that shows it


class DomainForm(forms.ModelForm[Any]):
    """A form that shows what the domain refused when this was saved before."""

    refusal: Refused | None = None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refusal:
            named = self.refusal.details.get("field")
            place = named if named in self.fields else None
            self.add_error(place, self.refusal.message)
        return cleaned


class BoundedPaginator(Paginator[Any]):
    """Counts no further than people page."""

    @cached_property
    def count(self) -> int:
        found: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return found.order_by()[: COUNT_AT_MOST + 1].count()


class DomainAdmin(admin.ModelAdmin[Any]):
    """Saves and deletes through domain functions; a refusal is an error of the form, never a 500.

    What the domain refuses is rolled back, and the form is shown once more with the reason.
    """

    form = DomainForm
    paginator = BoundedPaginator
    show_full_result_count = False

    def domain_save(self, instance: Any, form: Any, *, change: bool) -> None:
        raise NotImplementedError

    def domain_delete(self, instance: Any) -> None:
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        self.domain_save(obj, form, change=change)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.domain_delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self.domain_delete(obj)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        """What the confirmation names. The domain decides; walking all rows would take for ever."""
        return [str(obj) for obj in objs], {self.opts.verbose_name_plural: len(objs)}, set(), []

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        refusal = getattr(request, REFUSAL, None)
        return type(form.__name__, (form,), {"refusal": refusal}) if refusal else form

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Refused as error:
            setattr(request, REFUSAL, error)
            return super().changeform_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().delete_view, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return super().changelist_view(request, *args, **kwargs)
        with_all_or_nothing = transaction.atomic(super().changelist_view)
        return self._told(request, with_all_or_nothing, *args, **kwargs)

    def _told(
        self, request: HttpRequest, view: Callable[..., HttpResponse], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(request.path)
