"""What people read is complete: a name that code knows and a document does not fails here."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ("accounts", "catalog", "runs", "plotting", "streamvis_site", "logger_client/src")
VARIABLE = re.compile(r"""["'](STREAMVIS_[A-Z0-9_]+)["']""")
TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)


def read(path: str) -> str:
    return (ROOT / path).read_text()


def variables_of_the_code() -> set[str]:
    sources = (path for app in APPS for path in (ROOT / app).rglob("*.py"))
    return {name for path in sources for name in VARIABLE.findall(path.read_text())}


def test_every_environment_variable_is_documented() -> None:
    documented = set(re.findall(r"`(STREAMVIS_[A-Z0-9_]+)`", read("docs/operating.md")))
    assert variables_of_the_code() - documented == set()


def test_every_documented_environment_variable_exists() -> None:
    documented = set(re.findall(r"^\| `(STREAMVIS_[A-Z0-9_]+)`", read("docs/operating.md"), re.M))
    assert documented - variables_of_the_code() == set()


def test_every_make_target_is_documented() -> None:
    documented = set(re.findall(r"`make ([a-z0-9-]+)`", read("docs/contributing.md")))
    assert set(TARGET.findall(read("Makefile"))) == documented


def test_every_part_of_the_suite_is_a_make_target() -> None:
    from tools.suite import PARTS

    assert set(PARTS) <= set(TARGET.findall(read("Makefile")))


def test_links_between_documents_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
