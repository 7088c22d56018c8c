"""Audio Flamingo 3 goes all the ways that Qwen2-Audio goes, with the same exactness.

Everything else in the tests runs on Qwen2-Audio.
"""

import pytest
import torch
import transformers
from peft import PeftModel
from transformers import AutoConfig, AutoProcessor

from qsm_core.inference.parity import ParityCheck
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.models.architectures import (
    ARCHITECTURES,
    AUDIO_FLAMINGO_3,
    QWEN2_AUDIO,
    architecture_in,
    architecture_of,
)
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.memory import Account
from qsm_core.models.peak_memory import measure_peak
from qsm_core.models.shape import ModelShape
from qsm_core.training.lora import run
from tests.support.adapters import write_test_adapter
from tests.support.clips import make_clip
from tests.support.corpora import make_corpus
from tests.support.small_model import build_small_model
from tests.support.stages import stage_context

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_small_model(tmp_path_factory.mktemp("model"), architecture=AUDIO_FLAMINGO_3)


def test_the_folder_says_which_it_is(folder, small_model_folder):
    assert architecture_in(folder) is AUDIO_FLAMINGO_3
    assert architecture_in(small_model_folder) is QWEN2_AUDIO
    assert architecture_of({}) is QWEN2_AUDIO
    llm = load_audio_llm(folder, device="cpu")
    assert llm.architecture is AUDIO_FLAMINGO_3
    assert type(llm.core).__name__ == AUDIO_FLAMINGO_3.model_class


@pytest.mark.parametrize("one", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_transformers_has_the_class_and_loads_it_for_that_type(one):
    config = getattr(transformers, one.model_class).config_class
    assert config.model_type == one.model_type


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_row_of_the_parity_check_passes(folder, tmp_path, dtype):
    adapter = write_test_adapter(tmp_path / "adapter", folder)
    llm = load_audio_llm(folder, adapter=adapter, device="cpu", dtype=dtype)
    clips = [make_clip(seed, ms) for seed, ms in enumerate((1000, 200, 90, 1000, 330, 510))]
    rows = list(ParityCheck(llm, clips, ASK, tmp_path / "cache").rows())
    assert {row.check: row.verdict for row in rows if row.verdict != "pass"} == {}
    assert len(rows) == 10


def test_sizes_and_peak_are_predicted(tmp_path):
    sizes = {"encoder_layers": 3, "encoder_dim": 96, "text_layers": 4, "text_dim": 128, "heads": 4}
    folder = build_small_model(tmp_path, architecture=AUDIO_FLAMINGO_3, **sizes)
    llm = load_audio_llm(folder, device="cpu", self_test=False)
    shape = ModelShape.read(folder)
    assert shape.parameters == sum(p.numel() for p in llm.model.parameters())
    clips = [make_clip(seed, 2000) for seed in range(16)]
    scorer = InstructionScorer(llm, batch_size=len(clips))

    def score():
        scorer.score_many(scorer.encode(clips), [ASK, ASK])

    score()
    weights = 4 * shape.parameters
    predicted = Account(shape, "none", "cpu", 4).scoring(len(clips), 2000)
    assert predicted == pytest.approx(measure_peak(score, llm.device) + weights, rel=0.15)


def test_sizes_of_the_published_model_are_those_that_transformers_makes(tmp_path):
    """The file leaves out what equals the defaults of transformers, as the published one does."""
    text = {
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_attention_heads": 28,
        "num_hidden_layers": 28,
        "num_key_value_heads": 4,
        "vocab_size": 151_672,
    }
    config = transformers.AudioFlamingo3Config(text_config=text)
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        made = transformers.AudioFlamingo3ForConditionalGeneration(
            AutoConfig.from_pretrained(tmp_path)
        )
    assert ModelShape.read(tmp_path).parameters == sum(p.numel() for p in made.parameters())


def test_a_trained_adapter_loads_in_plain_peft_around_the_stock_model(folder, tmp_path):
    corpus = tmp_path / "corpus"
    make_corpus(corpus)
    config = {
        "seed": 1,
        "instructions": [ASK],
        "rank": 4,
        "alpha": 8,
        "learning_rate": 0.01,
        "epochs": 1,
        "effective_batch_size": 4,
        "base_model": "small test model",
    }
    context = stage_context(
        tmp_path / "run", config, {"train": corpus, "dev": corpus, "model": folder}
    )
    run(context)
    stock = transformers.AudioFlamingo3ForConditionalGeneration.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": ASK}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": user}], tokenize=False, add_generation_prompt=True
    )
    batch = processor(
        text=[prompt], audio=[make_clip(5, 500)], sampling_rate=16_000, return_tensors="pt"
    )
    ours = load_audio_llm(folder, adapter=context.out, device="cpu")
    with torch.no_grad():
        plain = PeftModel.from_pretrained(stock, context.out).eval()(**batch).logits
        assert torch.equal(plain, ours.model(**batch).logits)
    assert AUDIO_FLAMINGO_3.model_class in (context.out / "README.md").read_text()
