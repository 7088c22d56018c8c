import json
import ssl
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsm_core.errors import ConfigurationError, ModelError, TransientError
from qsm_core.models.text.endpoint import Endpoint, EndpointLLM, needs_key, url_problem
from qsm_core.models.text.protocol import Answer
from qsm_core.models.text.replies import ReplyError, read_reply
from tests.support.chat_server import Reply, chat_server, failure, in_turn

KEY = "sk-marker-4711"
SOON = {"retry_after_ms": "10"}


def client(server, **settings):
    return EndpointLLM(Endpoint(server.base_url, "a-model", KEY, **settings))


def ask(server, seeds=(1,), **settings):
    with client(server, **settings) as llm:
        given = llm.answers("Write an instruction.", seeds)
    assert not any(answer.fault for answer in given)
    return [answer.text for answer in given]


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
        assert llm.answers("Write.", [1]) == [Answer("yes")]
    assert server.keys == ["Bearer none"]


def message(content, finish="stop", **others):
    choice = {"message": {"content": content, **others}, "finish_reason": finish}
    return json.dumps({"choices": [choice]}).encode()


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (message("yes"), Answer("yes")),
        (message([THOUGHT, {"type": "text", "text": "yes"}]), Answer("yes")),
        (message([{"type": "output_text", "text": "ye"}, "s"]), Answer("yes")),
        (message("yes", None), Answer("yes")),
        (message(""), Answer("", "is empty")),
        (message(None), Answer("", "is empty")),
        (message([1, 2]), Answer("", "holds no text, but [1, 2]")),
        (message([THOUGHT]), Answer("", f"holds no text, but {json.dumps([THOUGHT])}")),
        (message(None, refusal="I will not"), Answer("", "is a refusal: I will not")),
        (message(None, tool_calls=[{"id": "x"}]), Answer("", "is a call of a tool, not a text")),
        (message(None, reasoning_content="hmm"), Answer("", "holds thoughts alone")),
        (
            message("ye", "length"),
            Answer("ye", "was cut off at the longest answer that the server allows (max_tokens)"),
        ),
        (message("", "content_filter"), Answer("", "was stopped by the server's content filter")),
    ],
)
def test_what_a_model_wrote_is_an_answer_with_its_faults(body, answer):
    with chat_server(in_turn(Reply(body=body))) as server, client(server) as llm:
        assert llm.answers("Write.", [1]) == [answer]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "Unexpected endpoint (POST /v1)"}', "reports error: Unexpected endpoint"),
        (b'{"choices": null, "error": {"code": "x", "message": "no"}}', "reports error: no; check"),
        (b'{"error": {"code": 401, "message": "bad"}}', "reports error 401: bad; check the key"),
        (b'{"choices": [{"error": {"message": "no"}}]}', "reports error: no"),
        (b"<html><title>Sign in</title></html>", "no JSON but application/json: Sign in; check"),
        (b'{"choices": []}', "holds no message"),
        (b"{}", "holds no message: {}"),
        (b'{"choices": [{"message": null}]}', "holds no message"),
        (b"[]", r"is no completion: \[\]"),
        (b"[" * 5000, "no JSON"),
        (b'{"error": "key sk-marker-4711 is bad"}', r"key \*\*\* is bad"),
    ],
)
def test_a_reply_that_is_no_answer_is_an_error_at_once(body, words):
    with (
        chat_server(in_turn(Reply(body=body))) as server,
        pytest.raises(
            ModelError, match=f"'a-model' at {server.base_url} cannot be used: .*{words}"
        ),
    ):
        ask(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b'{"error": {"code": 502, "message": "no provider"}}', b""])
def test_an_error_in_a_reply_that_may_pass_is_tried_again(body):
    reply = Reply(body=body)
    with chat_server(in_turn(reply, "at last")) as server:
        assert ask(server) == ["at last"]
    with (
        chat_server(in_turn(reply)) as server,
        pytest.raises(TransientError, match="no answer in 2 tries: the reply"),
    ):
        ask(server, retries=1)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_reply_is_an_answer_or_an_error_in_words(body):
    _read_or_refused(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "error", "code", "text", "type"]),
            inner,
        )
    ),
)


@given(_JSON)
def test_any_json_is_an_answer_or_an_error_in_words(value):
    _read_or_refused(json.dumps(value).encode())
    _read_or_refused(json.dumps({"choices": [{"message": {"content": value}}]}).encode())


def _read_or_refused(body):
    try:
        answer = read_reply(body.decode(errors="replace"), "a/b")
    except ReplyError as error:
        said = str(error) and error.advice
    else:
        said = answer.text.strip() or answer.fault
    assert said


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


def test_a_longest_answer_that_does_not_fit_is_left_to_the_server():
    complaint = failure(400, "'max_tokens' is too large: the maximum context length is 2048 tokens")
    with chat_server(in_turn(complaint, "fine")) as server:
        assert ask(server) == ["fine"]
    assert not {"max_tokens", "max_completion_tokens"} & set(server.requests[1])


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense"])
def test_a_server_on_this_machine_is_reached_without_a_proxy(monkeypatch, proxy):
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with chat_server(in_turn("yes")) as server:
        assert ask(server) == ["yes"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1080"),
        ("HTTPS_PROXY", "ftp://proxy:1"),
        ("SSL_CERT_FILE", "/nowhere.pem"),
    ],
)
def test_an_environment_that_no_client_can_use_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    endpoint = Endpoint("https://llm.example.org/v1", "a-model", KEY)
    with pytest.raises(ConfigurationError, match=f"{name} = {value}.*: .*; correct it, or unset"):
        EndpointLLM(endpoint)


def test_a_private_certificate_is_accepted_where_the_environment_names_it(monkeypatch, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with chat_server(in_turn("yes"), tls) as server:
        with pytest.raises(ModelError, match=r"CERTIFICATE_VERIFY_FAILED.*set SSL_CERT_FILE"):
            ask(server, retries=0)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask(server) == ["yes"]


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
