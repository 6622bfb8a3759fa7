"""Fields and series in the admin: names and descriptions change, types and sets do not."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from catalog import definitions
from catalog.domain_admin import DomainAdmin, DomainForm
from catalog.models import Field, Series


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
        return ", ".join(field.name for field in series.all_fields)

    def domain_save(self, instance: Series, form: Any, *, change: bool) -> None:
        if change:
            definitions.update_series(instance, {"name": form.cleaned_data["name"]})
        else:
            handles = [str(field.handle) for field in form.cleaned_data["members"]]
            created = definitions.create_series(name=instance.name, fields=handles)
            instance.pk, instance.handle = created.pk, created.handle

    def domain_delete(self, instance: Series) -> None:
        definitions.delete_series(instance)
