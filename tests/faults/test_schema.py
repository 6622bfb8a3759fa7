"""T12: every door is asked at random, by what the schema says of it: no 5xx, no status unnamed."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis
import pytest
import requests
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis import openapi
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.faults.conftest import Size
from tests.faults.kit import new_writers
from tests.services.server import Server

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PHASES = (Phase.generate,)
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def described(server: Server) -> Any:
    headers = {"Authorization": f"Bearer {server.token}", "Accept": "application/json"}
    return openapi.from_url(f"{server.url}/api/schema/", headers=headers)


def operations_of(schema: Any) -> Iterator[Any]:
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.startswith("/api/v1/"):
            yield operation


@pytest.fixture(scope="module")
def known(server: Server) -> dict[str, list[Any]]:
    """What a random request seldom hits by itself: handles and names that exist."""
    writers = new_writers(server, runs=3, per_run=1)
    for writer in writers:
        assert writer.log(300).status_code == 200
    runs = [writer.run for writer in writers]
    series = writers[0].series
    return {
        "runs": runs,
        "fields": [*series.fields, *series.fields.values()],
        "series": ["written", series.handle],
        "writer": [writer.id for writer in writers],
        "nonce": [secrets.token_hex(16) for _ in range(3)],
    }


def at_home(case: Any, known: Mapping[str, list[Any]], chance: random.Random) -> None:
    """Put what exists in the place of what was made up, in most cases."""
    kinds = {"series": "series", "writer": "writer", "nonce": "nonce"}
    for names in (case.path_parameters, case.query, case.body):
        if not isinstance(names, dict):
            continue
        for name in names:
            if chance.random() < 0.3:
                continue
            if name == "handle":
                kind = case.operation.path.split("/")[3]
                names[name] = chance.choice(known.get(kind, known["runs"]))
            elif name in ("field", "x", "color") or (name == "y" and isinstance(names[name], str)):
                names[name] = chance.choice(known["fields"])
            elif name in kinds:
                names[name] = chance.choice(known[kinds[name]])
            elif name == "filter":
                names[name] = chance.choice([None, {}, {"handles": known["runs"]}])
            elif name == "cursor" and isinstance(names[name], dict):
                names[name] = {chance.choice(known["runs"]): [1, chance.randint(0, 400)]}


@pytest.mark.parametrize("token", ["owner", "nobody"])
def test_no_door_fails_or_answers_what_it_does_not_describe(
    server: Server,
    described: Any,
    known: dict[str, list[Any]],
    size: Size,
    full: bool,
    seed: int,
    token: str,
) -> None:
    if server.database_url and not full:
        pytest.skip("doors and their descriptions are the same; T13 compares the databases")
    headers = {"Authorization": f"Bearer {server.token}"} if token == "owner" else {}
    told: Counter[int] = Counter()
    operations = list(operations_of(described))
    for operation in operations:
        ask_at_random(operation, headers, known, size(fast=2, full=150), seed, told)
    assert len(operations) > 20
    assert set(told) == {401} if token == "nobody" else {200, 422} <= set(told), told


def ask_at_random(
    operation: Any,
    headers: dict[str, str],
    known: Mapping[str, list[Any]],
    examples: int,
    seed: int,
    told: Counter[int],
) -> None:
    session = requests.Session()
    cases = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=cases, choice=st.integers(0, 2**32))
    def ask(case: Any, choice: int) -> None:
        at_home(case, known, random.Random(choice))
        answer = case.call(session=session, headers=headers, timeout=TIMEOUT_S)
        told[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    ask()
