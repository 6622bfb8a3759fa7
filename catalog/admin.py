"""Fields and series in the admin: names and descriptions change, types and sets do not."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse

from catalog import definitions
from catalog.errors import Refused
from catalog.models import Field, Series


class FieldForm(forms.ModelForm[Field]):
    class Meta:
        model = Field
        fields = ("name", "data_type", "description", "unit")


class SeriesForm(forms.ModelForm[Series]):
    members = forms.ModelMultipleChoiceField(Field.objects.all(), label="fields")

    class Meta:
        model = Series
        fields = ("name",)


class DomainAdmin(admin.ModelAdmin[Any]):
    """Saves and deletes through domain functions; a refusal becomes a message, never a 500."""

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

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().delete_view, *args, **kwargs)

    def _told(self, request: HttpRequest, view: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = view(request, *args, **kwargs)
        except Refused as error:
            messages.error(request, error.message)
            return HttpResponse(status=302, headers={"Location": request.path})
        return response


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
            stored = Field.objects.get(pk=instance.pk)
            definitions.update_field(stored, form.cleaned_data)
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

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return super().get_form(request, obj, **({} if obj else {"form": SeriesForm}), **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name", "field_names", "handle", "created_at"] if obj else ["name", "members"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("field_names", "handle", "created_at") if obj else ()

    @admin.display(description="fields")
    def field_names(self, series: Series) -> str:
        return ", ".join(member.field.name for member in series.members.all())

    def domain_save(self, instance: Series, form: Any, *, change: bool) -> None:
        if change:
            stored = Series.objects.get(pk=instance.pk)
            definitions.update_series(stored, {"name": form.cleaned_data["name"]})
        else:
            handles = [str(field.handle) for field in form.cleaned_data["members"]]
            created = definitions.create_series(name=instance.name, fields=handles)
            instance.pk, instance.handle = created.pk, created.handle

    def domain_delete(self, instance: Series) -> None:
        definitions.delete_series(instance)
