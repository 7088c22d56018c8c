"""The corpus of a run: synthesized, or made of the user's clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flows.run.stages import RunStages
from flows.speech.roles import Corpus, TrainingCorpus
from qsm_core.data.config import PrepareConfig, SyntheticConfig
from tasks.data import make_corpus, prepare_corpus
from tasks.run.handle import StageHandle
from tasks.run.runner import Input


@dataclass(frozen=True)
class Clips:
    """Where the clips of a run come from.

    Args:
        synthetic: The synthetic corpus, for where `data` is None.
        preparation: How clips of the user are cut, grouped and divided.
        data: Labelled clips of the user: a folder or a manifest.
        audio_root: Folder that the paths of a manifest are relative to.
        test_data: Clips of the user for the test alone.
    """

    synthetic: SyntheticConfig
    preparation: PrepareConfig
    data: str | None = None
    audio_root: str | None = None
    test_data: str | None = None

    @property
    def of_user(self) -> bool:
        """Whether any of the clips are the user's."""
        return self.data is not None or self.test_data is not None


def submit_corpus(run: RunStages, clips: Clips) -> StageHandle:
    """Make the synthetic corpus, or check and prepare the user's clips.

    The user's clips are prepared before this returns, unless they are only planned: clips that
    cannot be used are an error before a GPU job is queued.
    """
    sources: dict[str, Input] = {}
    if clips.data is None:
        role = Corpus() if clips.test_data is None else TrainingCorpus()
        made = run.submit(make_corpus, clips.synthetic, role=role)
        if clips.test_data is None:
            return made
        sources["corpus"] = made
    else:
        sources |= _labelled(run, "source", "audio_root", clips.data, clips.audio_root)
    if clips.test_data is not None:
        sources |= _labelled(run, "test_data", "test_audio_root", clips.test_data, None)
    corpus = run.submit(prepare_corpus, clips.preparation, role=Corpus(), inputs=sources)
    run.finished(corpus)
    return corpus


def _labelled(
    run: RunStages, name: str, root_name: str, path: str, root: str | None
) -> dict[str, Input]:
    """Return labelled clips as inputs; a manifest comes with the folder of its audio."""
    source = Path(path).expanduser()
    if source.is_dir():
        return {name: run.digest(path)}
    return {name: run.digest(path), root_name: run.digest(root or str(source.parent))}
