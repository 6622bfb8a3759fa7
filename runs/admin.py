"""Runs in the admin: tags and attributes change, what machines wrote is only shown."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from catalog.definitions import parse_handle
from catalog.domain_admin import DomainAdmin, DomainForm
from catalog.errors import Illegal
from catalog.models import Field
from catalog.types import dump_value
from runs import attributes, lifecycle, queries
from runs.models import Attribute, Gap, Run, RunOpening, RunSeries, RunTag, Tag


class RunTagForm(forms.ModelForm[RunTag]):
    name = forms.CharField(label="tag")

    class Meta:
        model = RunTag
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["name"].initial = self.instance.tag.name

    def clean_name(self) -> str:
        try:
            name = lifecycle.parse_tag(self.cleaned_data["name"])
        except Illegal as fault:
            raise forms.ValidationError(fault.message) from None
        if not self.instance.pk:
            self.instance.tag = Tag(name=name)  # for the log's words; never saved
        return name


class RunTagInline(admin.TabularInline[RunTag, Run]):
    model = RunTag
    form = RunTagForm
    extra = 1
    verbose_name = "tag"
    verbose_name_plural = "tags"

    def get_queryset(self, request: HttpRequest) -> QuerySet[RunTag]:
        return super().get_queryset(request).select_related("tag").order_by("tag__name")


class AttributeForm(forms.ModelForm[Attribute]):
    value = forms.CharField(
        required=False, strip=False, help_text="a number, NaN, Infinity, true, false, or a text"
    )

    class Meta:
        model = Attribute
        fields = ("field",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            # The field stays; and a list of all fields in every line would be long.
            self.fields["field"] = forms.CharField(disabled=True, required=False)
            self.initial["field"] = self.instance.field.name
            self.fields["value"].initial = attributes.as_typed(attributes.value_of(self.instance))

    def clean_field(self) -> Field:
        field: Field = self.instance.field if self.instance.pk else self.cleaned_data["field"]
        return field

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if isinstance(field := cleaned.get("field"), Field):
            try:
                cleaned["typed"] = attributes.parse_typed(field, cleaned.get("value", ""))
            except Illegal as fault:
                self.add_error("value", fault.message)
        return cleaned


class AttributeInline(admin.TabularInline[Attribute, Run]):
    model = Attribute
    form = AttributeForm
    extra = 1

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attribute]:
        return super().get_queryset(request).select_related("field", "run").order_by("field__name")


@admin.register(Run)
class RunAdmin(DomainAdmin):
    list_display = ("handle", "owner", "started_at", "state", "deleted_at")
    list_filter = ("head__state", ("deleted_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner", "head")
    ordering = ("-started_at", "-handle")
    search_fields = ("handle",)
    search_help_text = "a run's handle, or one of its tags"
    actions = ("restore",)
    inlines = (RunTagInline, AttributeInline)
    fields = (
        "handle",
        "owner",
        "started_at",
        "state",
        "generation",
        "rows",
        "rows_lost",
        "openings",
        "last_append_at",
        "deleted_at",
        "purged_at",
    )
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Run], search_term: str
    ) -> tuple[QuerySet[Run], bool]:
        if not search_term:
            return queryset, False
        if handle := parse_handle(search_term.strip()):
            return queryset.filter(handle=handle), False
        return queryset.filter(run_tags__tag__name=search_term.strip()), False

    @admin.display
    def state(self, run: Run) -> str:
        return queries.shown_state(run, run.head)

    @admin.display
    def generation(self, run: Run) -> int:
        return run.head.generation

    @admin.display
    def last_append_at(self, run: Run) -> str:
        return run.head.last_append_at.isoformat() if run.head.last_append_at else "never"

    @admin.display(description="rows")
    def rows(self, run: Run) -> str:
        counts = RunSeries.objects.filter(run=run, generation=run.head.generation)
        shown = counts.order_by("series__name").values_list("series__name", "rows")
        return "; ".join(f"{name}: {rows:,}" for name, rows in shown) or "none"

    @admin.display(description="rows declared lost")
    def rows_lost(self, run: Run) -> int:
        gaps = Gap.objects.filter(run=run, generation=run.head.generation)
        return sum(gaps.values_list("rows", flat=True))

    @admin.display(description="times opened")
    def openings(self, run: Run) -> int:
        return RunOpening.objects.filter(run=run).count()

    def domain_save(self, instance: Run, form: Any, *, change: bool) -> None:
        """Nothing of the run itself can be edited; its tags and attributes are the formsets'."""

    def domain_delete(self, instance: Run) -> None:
        lifecycle.delete_run(instance)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)  # names what changed, for the log; writes nothing
        if formset.model is RunTag:
            _save_tags(form.instance, formset)
        else:
            _save_attributes(form.instance, formset)

    @admin.action(description="Restore selected runs", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        with transaction.atomic():
            for run in queryset:
                lifecycle.restore_run(run)
        self.message_user(request, f"Restored {len(queryset)}.", messages.SUCCESS)


def _save_tags(run: Run, formset: Any) -> None:
    changed = [form for form in formset.forms if form.instance.pk and form.has_changed()]
    gone = [link.tag.name for link in formset.deleted_objects]
    renamed = [form for form in changed if form not in formset.deleted_forms]
    gone += [form.instance.tag.name for form in renamed]
    new = [form for form in formset.extra_forms if form.has_changed()]
    added = [form.cleaned_data["name"] for form in (*renamed, *new) if "name" in form.cleaned_data]
    if gone:
        lifecycle.remove_tags(run, gone)
    if added:
        lifecycle.add_tags(run, added)


def _save_attributes(run: Run, formset: Any) -> None:
    for attribute in formset.deleted_objects:
        lifecycle.delete_attribute(run, attribute.field)
    kept = (form for form in formset.forms if form not in formset.deleted_forms)
    values = {
        str(form.cleaned_data["field"].handle): dump_value(form.cleaned_data["typed"])
        for form in kept
        if form.has_changed() and "typed" in form.cleaned_data
    }
    if values:
        lifecycle.set_attributes(run, values)


class TagForm(DomainForm):
    class Meta:
        model = Tag
        fields = ("name",)


@admin.register(Tag)
class TagAdmin(DomainAdmin):
    """Tags are made by being given to runs; here they are renamed, on all runs at once."""

    form = TagForm
    list_display = ("name",)
    search_fields = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tag | None = None) -> bool:
        return False

    def domain_save(self, instance: Tag, form: Any, *, change: bool) -> None:
        lifecycle.rename_tag(instance, form.cleaned_data["name"])
