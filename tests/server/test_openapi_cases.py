"""Requests made of /openapi.json by schemathesis, good ones and bad ones: no answer is a server's fault, each has a status, a
content type and a shape that the document says, and what the document does not allow is refused.

QUERENT_CASES: how many in all, 2,000 otherwise. They are the same ones at every run.
"""
import os
from collections import Counter

import pytest

schemathesis = pytest.importorskip("schemathesis")
from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from program import HANG  # noqa: E402
from serving import ask  # noqa: E402

MODELS = ["embedder", "reader", "sentiment", "reranker", "tagger"]  # of each kind, so that every route has one that answers
CASES = int(os.environ.get("QUERENT_CASES", "2000"))
BUDGET = "X-Request-Budget-Ms"
CONFORMANCE = [status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def server(start_server, tiny):
    return start_server(models=[tiny(name) for name in MODELS])


@pytest.fixture(scope="module")
def operations(server):
    schema = schemathesis.openapi.from_dict(ask(server, "/openapi.json").json())
    schema.config.update(base_url=server.url)
    return [result.ok() for result in schema.get_all_operations()]


class Cases:
    """Sends cases and counts their answers."""

    def __init__(self):
        self.sent = 0
        self.codes = Counter()

    def send(self, operation, mode, most):
        """At most so many: of a route that takes nothing there is one."""
        takes_something = operation.body or operation.path_parameters
        dice = st.tuples(*[st.integers(0, 3)] * 3) if takes_something else st.just((0, 0, 0))

        @settings(max_examples=most, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode), dice=dice)
        def run(case, dice):
            if mode is GenerationMode.POSITIVE:
                spare(case, *dice)
            self.try_one(case)

        run()

    def try_one(self, case):
        response = case.call(timeout=HANG)
        self.sent += 1
        self.codes[case.operation.label, response.status_code] += 1
        checks = [*CONFORMANCE]
        if response.status_code not in (429, 504) or BUDGET not in (case.headers or {}):
            checks.append(not_a_server_error)
        if not has_object(case.body):
            checks.append(negative_data_rejection)
        case.validate_response(response, checks=checks)


def spare(case, name, head, place):
    """A name that no model has is refused, and a budget of nothing is late, whatever else the request holds: most are left out."""
    if isinstance(case.body, dict) and name != 3:
        case.body.pop("model", None)
    if head != 3:
        case.headers.clear()
    if "model" in case.path_parameters and name != 3:
        case.path_parameters["model"] = MODELS[place]


def has_object(body):
    """Where an object is, what might stand beside it instead is not looked at."""
    return isinstance(body, dict) and any(isinstance(member, dict) for member in body.values())


def test_every_answer_is_as_the_document_says(operations):
    cases = Cases()
    plain = [(operation, GenerationMode.POSITIVE) for operation in operations if not operation.body]
    turns = plain + [(operation, mode) for mode in GenerationMode for operation in operations if operation.body]
    for at, (operation, mode) in enumerate(turns):
        cases.send(operation, mode, (CASES - cases.sent) // (len(turns) - at))
    assert cases.sent >= CASES * 0.98, cases.sent
    good = sum(count for (_, code), count in cases.codes.items() if code == 200)
    assert good > CASES / 5, cases.codes
