"""How an evaluation is spread over workers, and which of its answers are known already.

The key of an evaluation does not know of shards: their number changes no answer. Shards are made
when the evaluation is not there, as stages with keys of their own; the evaluation then takes the
answers from them. It also takes those of other shards and evaluations that asked the same model
the same, so another number of shards, or other code of the metrics, asks for nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.evaluation.scoring.instructions import read_asked, read_known, without_known
from qsm_core.evaluation.scoring.workload import count_blocks, count_clips
from qsm_core.store.closure import code_digests
from qsm_core.store.spec import StageInput, StageSpec, library_versions
from qsm_core.store.store import Store
from tasks.definitions import SHARD_OF

_SCORING = "qsm_core.evaluation.scoring.scored_clips"
# Fields of the configuration that change no answer.
_NO_ANSWERS = frozenset({"bootstrap", "shard", "shards"})


@dataclass(frozen=True)
class KnownAnswers:
    """Finished outputs that hold answers which an evaluation needs.

    Args:
        folders: Where they are.
        complete: Whether nothing is left to ask.
    """

    folders: tuple[Path, ...] = ()
    complete: bool = False


@dataclass(frozen=True)
class EvaluationShards:
    """In how many shards an evaluation is scored, where it has to be scored.

    Args:
        wanted: As many as this, but no more than there are blocks of clips.
    """

    wanted: int = 1

    def configs(
        self, config: Mapping[str, Any], inputs: Mapping[str, StageInput]
    ) -> list[dict[str, Any]]:
        """Return the configuration of each shard; none where one worker does it all."""
        split, conditions = config.get("split", "test"), config["conditions"]
        clips = count_clips(inputs["corpus"].path, split, conditions)
        shards = min(self.wanted, count_blocks(clips))
        if shards <= 1:
            return []
        common = {name: config[name] for name in config if name not in _NO_ANSWERS}
        return [{**common, "shard": number, "shards": shards} for number in range(shards)]

    def known(
        self, store: Store, spec: StageSpec, inputs: Mapping[str, StageInput]
    ) -> KnownAnswers:
        """Look for finished outputs that hold answers of an evaluation."""
        shard = SHARD_OF[spec.stage]
        code = code_digests(_SCORING, package_data=shard.package_data)
        libraries = library_versions(shard.libraries)
        folders, complete = [], _asks_nothing(spec.config, inputs)
        for stage in (spec.stage, shard.name):
            for manifest in store.manifests(stage):
                other = manifest.spec
                if _same_answers(spec, other, code, libraries) and store.find(other) is not None:
                    folders.append(store.layout.output(stage, other.key))
                    complete = complete or stage == spec.stage
        return KnownAnswers(tuple(folders), complete)


def _asks_nothing(config: Mapping[str, Any], inputs: Mapping[str, StageInput]) -> bool:
    """Say whether other evaluations have asked all instructions that this one names."""
    if "asked" not in config:
        return False
    paths = {name: given.path for name, given in inputs.items()}
    texts = read_asked(config["asked"], paths)
    known = read_known(config.get("known", ()), paths, config.get("instruction"))
    return not without_known(texts, known)


def _same_answers(
    spec: StageSpec, other: StageSpec, code: Mapping[str, str], libraries: Mapping[str, str]
) -> bool:
    """Say whether two specs ask the same model the same, with the same code of scoring."""
    return (
        spec.inputs == other.inputs
        and _asked(spec) == _asked(other)
        and all(other.code.get(name) == digest for name, digest in code.items())
        and all(other.libraries.get(name) == version for name, version in libraries.items())
    )


def _asked(spec: StageSpec) -> dict[str, Any]:
    return {name: value for name, value in spec.config.items() if name not in _NO_ANSWERS}
