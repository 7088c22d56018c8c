"""Configuration of the answers of an arm; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from qsm_core.acceptance.cases.columns import CaseColumns
from qsm_core.acceptance.config import CaseSelection
from qsm_core.seeding import Seed

# Of servers that ask for a key.
API_KEY_VARIABLE = "QSM_ANSWERS_API_KEY"

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Server:
    """A server that speaks the OpenAI chat completions API, in place of a model here.

    Its address belongs to what was asked: another server may have another model of the same name.

    Args:
        url: Address of the API.
        model: Its name there.
    """

    url: str
    model: str


@dataclass(frozen=True)
class GenerateAnswers:
    """How the answers of one arm are made.

    Args:
        arm: Of the comparison, such as baseline.
        task: Name of a built-in task; null where the task is an input.
        columns: Which fields of the file of cases mean what.
        selection: Which cases are run.
        form: chat: the prompt is a user turn in the model's chat template; text: it is given as it
            is, as the original evaluation did.
        temperature: 0 takes the likeliest token.
        top_p: Least probability mass that tokens are drawn from.
        max_new_tokens: Longest answer.
        retries: Further attempts of a case whose answer is not valid.
        seed: Root of the random stream of each case and attempt, the same in all arms.
        quantization: "none", or "nf4": 4 bits with double quantization.
        dtype: Of the computation.
        grammar: Answers are valid by construction: a grammar of the task's parts leaves only
            tokens that fit.
        server: In place of a model here.
        shard: Which share of the cases, from 0.
        shards: How many there are.
    """

    arm: str
    task: str | None = None
    columns: CaseColumns = field(default_factory=CaseColumns)
    selection: CaseSelection = field(default_factory=CaseSelection)
    form: Literal["chat", "text"] = "chat"
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.2
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1)] = 1200
    retries: Annotated[int, Field(ge=0, le=20)] = 2
    seed: Seed = 42
    quantization: Literal["none", "nf4"] = "none"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    grammar: bool = False
    server: Server | None = None
    shard: Count = 0
    shards: Annotated[int, Field(ge=1)] = 1
