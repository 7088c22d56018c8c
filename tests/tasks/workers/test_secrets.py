import os

import pytest
from prefect.blocks.system import Secret

from qsm_core.errors import ConfigurationError
from qsm_core.prompting.config import API_KEY_VARIABLE
from tasks.prompting import OPTIMIZER_KEY

pytestmark = pytest.mark.server


def test_a_key_is_in_the_environment_for_the_time_of_a_block(prefect_api, monkeypatch):
    Secret(value=" marker-4711 ").save("optimizer-key")
    monkeypatch.delenv(API_KEY_VARIABLE, raising=False)
    with OPTIMIZER_KEY.in_environment("optimizer-key"):
        assert os.environ[API_KEY_VARIABLE] == "marker-4711"
    assert API_KEY_VARIABLE not in os.environ
    monkeypatch.setenv(API_KEY_VARIABLE, "of the user")
    with pytest.raises(InterruptedError), OPTIMIZER_KEY.in_environment("optimizer-key"):
        raise InterruptedError
    assert os.environ[API_KEY_VARIABLE] == "of the user"
    with OPTIMIZER_KEY.in_environment(None):
        assert os.environ[API_KEY_VARIABLE] == "of the user"


def test_a_block_that_is_not_there_or_holds_no_text_is_told(prefect_api):
    told = "optimizer_secret = 'no-such-block': the Prefect server has no Secret block"
    with pytest.raises(ConfigurationError, match=told):
        OPTIMIZER_KEY.read("no-such-block")
    for name, value in (("empty-key", "  "), ("object-key", {"key": "x"})):
        Secret(value=value).save(name)
        with pytest.raises(ConfigurationError, match=f"'{name}': the block holds no text"):
            OPTIMIZER_KEY.read(name)
