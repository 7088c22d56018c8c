import pytest

from qsm_core.errors import ModelError, TransientError
from qsm_core.models.text.endpoint import Endpoint, EndpointLLM, needs_key, url_problem
from tests.support.chat_server import Reply, chat_server, failure, in_turn

KEY = "sk-marker-4711"
SOON = {"retry_after_ms": "10"}


def ask(server, seeds=(1,), **settings):
    endpoint = Endpoint(server.base_url, "a-model", KEY, **settings)
    with EndpointLLM(endpoint) as llm:
        return llm.answers("Write an instruction.", seeds)


def test_each_seed_is_a_request_of_its_own_with_the_key_in_its_header(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-service")
    monkeypatch.setenv("OPENAI_ORG_ID", "of-another-service")
    with chat_server(in_turn("first", "second")) as server:
        assert ask(server, seeds=(5, 6), temperature=0.5) == ["first", "second"]
    assert [one["seed"] for one in server.requests] == [5, 6]
    assert {one["temperature"] for one in server.requests} == {0.5}
    assert {one["model"] for one in server.requests} == {"a-model"}
    assert server.prompts == ["Write an instruction."] * 2
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_a_server_without_a_key_gets_none_of_another_service(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-service")
    with (
        chat_server(in_turn("yes")) as server,
        EndpointLLM(Endpoint(server.base_url, "a-model", None)) as llm,
    ):
        assert llm.answers("Write.", [1]) == ["yes"]
    assert server.keys == ["Bearer none"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(""),
        Reply(None),
        Reply(body=b'{"choices": []}'),
        Reply(body=b"{}"),
        Reply(body=b'{"choices": [{"message": null}]}'),
        Reply(body=b'{"choices": [{"message": {"content": [1, 2]}}]}'),
        Reply(body=b"[]"),
    ],
)
def test_a_reply_without_a_text_is_an_empty_answer(reply):
    with chat_server(in_turn(reply)) as server:
        assert ask(server) == [""]


@pytest.mark.parametrize(
    "first", [failure(500, **SOON), failure(503, **SOON), failure(429, "slow down", **SOON)]
)
def test_what_may_pass_is_tried_again(first):
    with chat_server(in_turn(first, "at last")) as server:
        assert ask(server) == ["at last"]
    assert len(server.requests) == 2


def test_a_request_to_a_hanging_server_is_retried():
    with chat_server(in_turn(Reply(hangs=True), "at last")) as server:
        assert ask(server, timeout_s=1.0) == ["at last"]
    assert len(server.requests) >= 2  # more on a machine that takes a second for an answer


@pytest.mark.parametrize(
    ("reply", "words"),
    [(failure(500, **SOON), "InternalServerError"), (failure(429, **SOON), "RateLimitError")],
)
def test_what_does_not_pass_is_reported_as_transient(reply, words):
    with (
        chat_server(in_turn(reply)) as server,
        pytest.raises(TransientError, match=f"no answer in 2 tries: {words}"),
    ):
        ask(server, retries=1)
    assert len(server.requests) == 2


def test_a_server_that_always_hangs_is_reported_as_transient():
    with (
        chat_server(in_turn(Reply(hangs=True))) as server,
        pytest.raises(TransientError, match="no answer in 2 tries: APITimeoutError"),
    ):
        ask(server, timeout_s=0.1, retries=1)


def test_a_missing_server_is_reported_as_transient():
    with chat_server(in_turn("never")) as server:
        pass
    with pytest.raises(TransientError, match="APIConnectionError"):
        ask(server, retries=0)


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "check the key"), (403, "check the key"), (404, "check the name"), (400, "see the log")],
)
def test_a_permanent_error_is_reported_at_once_and_without_the_key(status, words):
    with (
        chat_server(in_turn(failure(status, f"your key {KEY} is refused"))) as server,
        pytest.raises(ModelError, match=words) as caught,
    ):
        ask(server)
    assert len(server.requests) == 1
    shown = f"{caught.value!r} {caught.value.__cause__} {caught.value.__suppress_context__}"
    assert KEY not in shown
    assert "*** is refused" in shown
    assert caught.value.__suppress_context__


def test_a_server_that_is_no_api_is_reported():
    with (
        chat_server(in_turn(Reply(body=b"<html>hello</html>"))) as server,
        pytest.raises(ModelError, match="cannot be used: JSONDecodeError"),
    ):
        ask(server)


def test_what_a_server_does_not_know_is_left_out():
    complaints = [
        failure(400, "Unsupported parameter: 'max_tokens'; use 'max_completion_tokens'"),
        failure(422, "extra field: seed"),
    ]
    with chat_server(in_turn(*complaints, "fine")) as server:
        assert ask(server, seeds=(1, 2), max_tokens=99) == ["fine", "fine"]
    assert "max_tokens" in server.requests[0]
    for request in server.requests[2:]:
        assert request["max_completion_tokens"] == 99
        assert not {"max_tokens", "seed"} & set(request)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:8000/v1", None),
        ("https://llm.example.org/v1", None),
        ("127.0.0.1:8000", "needed is an address"),
        ("file:///etc/passwd", "needed is an address"),
        ("", "needed is an address"),
        ("https://me:secret@llm.example.org/v1", "must hold no user, password"),
        ("https://llm.example.org/v1?key=secret", "must hold no user, password or query"),
    ],
)
def test_addresses(url, words):
    problem = url_problem(url)
    assert problem is None if words is None else words in problem


def test_a_hosted_service_needs_a_key_and_the_key_is_not_shown():
    assert needs_key("https://llm.example.org/v1")
    assert not needs_key("http://gpu01:8000/v1")
    assert KEY not in repr(Endpoint("https://llm.example.org/v1", "m", KEY))
