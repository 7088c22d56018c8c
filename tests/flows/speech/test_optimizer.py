"""Parameters of proposers and optimizer LLM: what they mean, and which are refused at once."""

import pytest

from flows.speech.lists import proposer_names
from flows.speech.optimize_parameters import OptimizeParameters, parse_optimize_parameters
from flows.speech.optimizer import (
    check_key,
    optimizer_inputs,
    optimizer_runtime,
    optimizer_settings,
)
from flows.speech.parameters import PipelineParameters
from flows.speech.parsing import parse_parameters
from flows.speech.roles import BASE, LORA
from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.prompting.config import OptimizerSettings

URL = "http://127.0.0.1:8000/v1"
SERVED = {"opro_proposers": "llm", "optimizer_model": "a-model", "optimizer_url": URL}
HOSTED = SERVED | {"optimizer_url": "https://llm.example.org/v1"}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"opro_proposers": "template"}, "opro_proposers = 'template': there is no such proposer"),
        ({"opro_proposers": " , "}, "opro_proposers is empty: name one"),
        ({"opro_proposers": "llm"}, "optimizer_model is empty: proposer 'llm' needs"),
        ({"opro_proposers": "llm", "optimizer_url": URL}, "an LLM as the server calls it"),
        ({"optimizer_model": "x"}, "optimizer_model = 'x': is not asked; add llm"),
        ({"optimizer_url": URL}, "optimizer_url: is not asked; add llm"),
        (SERVED | {"optimizer_url": "localhost"}, "optimizer_url: needed is an address such as"),
        (SERVED | {"optimizer_url": "http://a:b@c/v1"}, "optimizer_url: must hold no user"),
        (
            {"opro_proposers": "llm", "optimizer_model": "x", "optimizer_secret": "my-key"},
            "optimizer_secret = 'my-key': optimizer_url is empty",
        ),
        (SERVED | {"optimizer_secret": "Not A Name"}, "optimizer_secret = 'Not A Name'"),
        (SERVED | {"optimizer_temperature": 3.0}, "optimizer_temperature = 3.0"),
        ({"opro_proposers": "pool"}, "opro_pool is empty: proposer 'pool' needs a file"),
        ({"opro_pool": "x.txt"}, "opro_pool = 'x.txt': is not read; add pool"),
        (
            {"opro_proposers": "pool", "opro_pool": "missing.txt"},
            "opro_pool: missing.txt: .*No suc",
        ),
    ],
)
@pytest.mark.parametrize("parse", [parse_parameters, parse_optimize_parameters])
def test_what_cannot_work_is_refused_with_its_field(values, problem, parse):
    with pytest.raises(ConfigurationError, match=problem):
        parse(values)


def test_a_password_in_an_address_is_not_shown():
    with pytest.raises(ConfigurationError) as caught:
        parse_parameters(SERVED | {"optimizer_url": "http://me:hidden@host/v1"})
    assert "hidden" not in str(caught.value)


def test_a_run_without_a_search_needs_no_optimizer(tmp_path):
    given = {"instruction_base": "a.txt", "instruction_lora": "b.txt", "opro_proposers": "llm"}
    assert parse_parameters(given).opro_proposers == "llm"


def test_an_unfit_pool_is_reported_with_file_line_and_value(tmp_path):
    pool = tmp_path / "pool.txt"
    pool.write_text("Is it SPEECH or NONSPEECH?\nTell me\n")
    with pytest.raises(ConfigurationError, match=r"pool.txt, line 2: 'Tell me': 7 characters"):
        parse_parameters({"opro_proposers": "pool", "opro_pool": str(pool)})


def test_presets_fill_only_what_is_needed():
    large = {"preset": "qwen2-audio-7b", "data": "clips"}
    filled = parse_parameters(large)
    assert proposer_names(filled) == ["templates", "llm"]
    assert filled.optimizer_model == "Qwen/Qwen2.5-7B-Instruct"
    assert len(str(filled.optimizer_revision)) == 40
    assert optimizer_settings(filled) == OptimizerSettings(served=False, quantization="nf4")
    assert parse_parameters(large | {"opro_proposers": "templates"}).optimizer_model is None
    other = parse_parameters(large | {"optimizer_model": "my/model"})
    assert other.optimizer_revision is None
    served = parse_parameters(large | SERVED)
    assert (served.optimizer_model, served.optimizer_revision) == ("a-model", None)
    plain = parse_parameters({})
    assert proposer_names(plain) == ["templates", "recombination"]
    assert optimizer_settings(plain) is None


def test_the_llm_is_part_of_the_key_and_where_it_is_served_is_not():
    parameters = parse_parameters(SERVED | {"optimizer_secret": "my-key"})
    assert optimizer_settings(parameters) == OptimizerSettings(served=True, model="a-model")
    assert optimizer_runtime(parameters) == {"optimizer_url": URL, "secret": "my-key"}
    assert optimizer_inputs(parameters) == {}


def test_a_model_that_runs_here_is_an_input_by_its_content(small_text_model_folder, tmp_path):
    values = {"opro_proposers": "llm", "optimizer_model": str(small_text_model_folder)}
    (given,) = optimizer_inputs(parse_parameters(values)).values()
    assert given.path == small_text_model_folder
    assert given.digest
    with pytest.raises(ModelError, match="is no folder"):
        optimizer_inputs(parse_parameters(values | {"optimizer_model": str(tmp_path / "no")}))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="instruction-tuned model"):
        optimizer_inputs(parse_parameters(values | {"optimizer_model": str(tmp_path)}))


def test_a_hosted_service_without_a_key_is_refused():
    check_key(parse_parameters(SERVED), {})
    check_key(parse_parameters(HOSTED), {"QSM_OPTIMIZER_API_KEY": "x"})
    check_key(parse_parameters({}), {})
    with pytest.raises(ConfigurationError, match="Secret block in optimizer_secret, or set"):
        check_key(parse_parameters(HOSTED), {"OPENAI_API_KEY": "of another service"})


def test_fields_of_the_search_are_those_of_the_main_job():
    shared = set(OptimizeParameters.model_fields) - {"evaluate"}
    assert shared < set(PipelineParameters.model_fields)
    for name in shared:
        mine, main = OptimizeParameters.model_fields[name], PipelineParameters.model_fields[name]
        assert (mine.description, mine.default, mine.metadata) == (
            main.description,
            main.default,
            main.metadata,
        )
    assert not shared & {"lora_rank", "epochs", "num_seeds", "baselines", "instruction_base"}
    assert {"opro_iterations", "optimizer_url", "adapter", "data", "model"} <= shared


def test_a_search_has_a_folder_of_its_own_and_the_stages_of_the_main_job():
    run = parse_optimize_parameters({"seed": 7, "evaluate": False})
    assert run.parameters.name == "optimize-embedded-seed7"
    assert (run.evaluate, run.system) == (False, BASE)
    assert parse_optimize_parameters({"adapter": "a"}).system == LORA
    main = parse_parameters({"seed": 7, "name": run.parameters.name, "baselines": "none"})
    assert run.parameters == main
    with pytest.raises(ConfigurationError, match="lora_rank: there is no such parameter"):
        parse_optimize_parameters({"lora_rank": 4})
