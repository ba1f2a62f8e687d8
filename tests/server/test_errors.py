"""Errors that help: they say where and what, in our own words; and what they cost a connection."""
import re

import pytest
from serving import ask, make_request, read_answer

TEXTS = {"inputs": "a text"}


def error(answer, status):
    assert answer.status == status, answer.body
    return answer.json()["error"]


@pytest.mark.parametrize(
    "body,place",
    [
        (b'{\n  "inputs": "a",\n  "truncate": yes\n}', "line 3, column 15: expected a value"),
        (b'{"inputs": ["a" "b"]}', "line 1, column 17: expected `,` or `]`"),
        (b'{"inputs": "a"', "line 1, column 15: expected `,` or `}`"),
        ('{"größe": "ä", inputs: 1}'.encode(), "line 1, column 16: expected a member's name"),
        (b'{"inputs": "a", "inputs": "b"}', "line 1, column 17: expected a name that the object does not have yet"),
        (b'{"inputs": "\xff"}', "line 1, column 13: expected valid UTF-8"),
        (b"", "line 1, column 1: expected a value"),
    ],
)
def test_bad_json_says_where(server, body, place):
    assert error(ask(server, "/embed", body), 400) == "the request body is not valid JSON: " + place


def test_bad_json_in_a_body_for_a_worker(server):
    body = b'{"padding": "' + b"x" * 40000 + b'",\n "inputs": ]}'
    assert error(ask(server, "/embed", body), 400).endswith(": line 2, column 12: expected a value")


@pytest.mark.parametrize(
    "body,sentence",
    [
        ({}, "`inputs` is missing"),
        ({"inputs": 1.5}, "`inputs` must be a text, a list of token ids, or a list of these"),
        ({"inputs": ["a", "b", "c", {}]}, "`inputs[3]` must be a text or a list of token ids"),
        ({"inputs": [[5, 6, 99999999]]}, "`inputs[0][2]` must be a token id from 0 to <n>; ids must be this model's own, as /tokenize gives them: "
         "if your client makes other ones, have it send texts"),
        ({"inputs": "a", "dimensions": 0}, "`dimensions` must be a whole number from 1 to <n>"),
        ({"inputs": "a", "dimensions": 8000}, "`dimensions` must be a whole number from 1 to <n>"),
        ({"inputs": "a", "normalize": "yes"}, "`normalize` must be true or false"),
        ({"inputs": "a", "model": 7}, "`model` must be a text"),
        ([], "the request body must be a JSON object"),
    ],
)
def test_a_wrong_field_is_named(server, body, sentence):
    """<n>: the model's own number."""
    assert re.fullmatch(re.escape(sentence).replace("<n>", r"\d+"), error(ask(server, "/embed", body), 422))


# One budget a row: the header's value, and what is wrong with it (None: nothing).
BUDGETS = [
    ("60000", None),
    (" 60000 ", None),
    ("60000.25", None),
    ("9" * 30, None),
    ("", "it is empty"),
    ("-1", "it is negative"),
    ("1e3", "it has an exponent"),
    (".5", "it is not a decimal number"),
    ("5.", "it is not a decimal number"),
    ("+1", "it is not a decimal number"),
    ("0x1", "it is not a decimal number"),
    ("NaN", "it is not a decimal number"),
    ("soon", "it is not a decimal number"),
    ("٣", "it is not a decimal number"),
]


def send(connection, path, body, headers):
    connection.sendall(make_request(path, body, headers=headers))


@pytest.mark.parametrize("value,why", BUDGETS, ids=[repr(value) for value, _ in BUDGETS])
def test_budgets(server, value, why):
    """A budget that cannot be read is a 400 that says so, and the connection is kept."""
    value = value.encode().decode("latin-1")
    request = make_request("/embed", TEXTS, headers=[("X-Request-Budget-Ms", value)]).decode().encode("latin-1")
    with server.connect() as connection:
        connection.sendall(request)
        answer, rest = read_answer(connection)
        if why is None:
            assert answer.status == 200
        else:
            assert error(answer, 400) == (
                "a header field of the request is not valid: "
                f"`X-Request-Budget-Ms` must be milliseconds, such as 250 or 0.25; {why}"
            )
            assert "connection" not in answer.headers
        send(connection, "/embed", TEXTS, [("X-Request-Budget-Ms", "60000")])
        assert read_answer(connection, rest)[0].status == 200


def test_two_budgets(server):
    headers = [("X-Request-Budget-Ms", "60000"), ("x-request-budget-ms", "60000")]
    assert "it comes more than once" in error(ask(server, "/embed", TEXTS, headers=headers), 400)


def test_a_fraction_of_a_millisecond_is_a_budget(server):
    """Long over before the body is read, on any machine."""
    answer = ask(server, "/embed", TEXTS, headers=[("X-Request-Budget-Ms", "0.000001")])
    assert answer.status == 504 and answer.headers["x-should-retry"] == "false"


def test_refused_at_the_head_keeps_the_connection(server):
    """The body of a request that nobody wants is read and dropped; what follows it is served."""
    large = b'{"inputs": "' + b"x" * 500000 + b'"}'
    with server.connect() as connection:
        for path, body, headers, status in [
            ("/nowhere", large, (), 404),
            ("/health", large, (), 405),
            ("/embed", large, [("X-Request-Budget-Ms", "soon")], 400),
        ]:
            send(connection, path, body, headers)
            answer, rest = read_answer(connection)
            assert answer.status == status and rest == b"", path
        send(connection, "/embed", TEXTS, ())
        assert read_answer(connection)[0].status == 200


def test_openai_and_models_of_another_kind(server):
    """A name that no model has is served with a warning; one that a span model has is not."""
    assert ask(server, "/v1/embeddings", {"input": "a", "model": "text-embedding-3-small"}).status == 200
    answer = ask(server, "/v1/embeddings", {"input": "a", "model": "reader"})
    assert answer.status == 424
    assert answer.json()["error"]["code"] == "wrong_kind"
