"""Fields and series in the admin: names and descriptions change, types and sets do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from catalog import definitions
from catalog.errors import Refused
from catalog.models import Field, Series

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


class DomainAdmin(admin.ModelAdmin[Any]):
    """Saves and deletes through domain functions; a refusal is an error of the form, never a 500.

    What the domain refuses is rolled back, and the form is shown once more with the reason.
    """

    form = DomainForm

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


class FieldForm(DomainForm):
    # Not stripped: a name may begin with a space, and describing a field must not rename it.
    name = forms.CharField(max_length=200, strip=False)
    unit = forms.CharField(max_length=50, strip=False, required=False)

    class Meta:
        model = Field
        fields = ("name", "data_type", "description", "unit")


class SeriesForm(DomainForm):
    name = forms.CharField(max_length=200, strip=False)

    class Meta:
        model = Series
        fields = ("name",)


class NewSeriesForm(SeriesForm):
    members = forms.ModelMultipleChoiceField(Field.objects.all(), label="fields")


@admin.register(Field)
class FieldAdmin(DomainAdmin):
    form = FieldForm
    list_display = ("name", "data_type", "unit", "description", "handle")
    list_filter = ("data_type",)
    search_fields = ("name", "description")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("data_type", "handle", "created_at") if obj else ()

    def domain_save(self, instance: Field, form: Any, *, change: bool) -> None:
        if change:
            changes = {key: form.cleaned_data[key] for key in form.changed_data}
            definitions.update_field(instance, changes)
        else:
            created = definitions.create_field(**form.cleaned_data)
            instance.pk, instance.handle = created.pk, created.handle

    def domain_delete(self, instance: Field) -> None:
        definitions.delete_field(instance)


@admin.register(Series)
class SeriesAdmin(DomainAdmin):
    list_display = ("name", "field_names", "handle")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("members__field")

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        kwargs["form"] = SeriesForm if obj else NewSeriesForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("name", "field_names", "handle", "created_at") if obj else ("name", "members")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("field_names", "handle", "created_at") if obj else ()

    @admin.display(description="fields")
    def field_names(self, series: Series) -> str:
        return ", ".join(member.field.name for member in series.members.all())

    def domain_save(self, instance: Series, form: Any, *, change: bool) -> None:
        if change:
            definitions.update_series(instance, {"name": form.cleaned_data["name"]})
        else:
            handles = [str(field.handle) for field in form.cleaned_data["members"]]
            created = definitions.create_series(name=instance.name, fields=handles)
            instance.pk, instance.handle = created.pk, created.handle

    def domain_delete(self, instance: Series) -> None:
        definitions.delete_series(instance)
