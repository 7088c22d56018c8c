"""OPRO: an optimizer LLM that sees the best instructions with their scores (arXiv:2309.03409).

The meta-prompt shows the best twenty in ascending order, so that the best comes last, each with an
integer score from 0 to 100. In place of the exemplars of the original, which cannot be played to a
text model, it says in numbers where the best instruction fails. Each candidate is an answer of its
own, sampled at temperature 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from qsm_core.inference.answers import AUTO, AnswerFormat
from qsm_core.inference.config import LONGEST_INSTRUCTION
from qsm_core.models.text.protocol import Answer, TextLLM
from qsm_core.prompting.candidate_scores import CONDITIONS_WEIGHT, ScoredCandidate
from qsm_core.prompting.proposers.feedback import error_summary
from qsm_core.prompting.texts.candidates import Candidate, Refusal, clean_text
from qsm_core.prompting.texts.language import language_problem
from qsm_core.prompting.texts.llm_answers import read_answer

ORIGIN = "optimizer LLM"
MAX_SHOWN = 20
_NUM_SEEDS = 2**31 - 1

_TASK = """\
Your task is to write the instruction <INS> for an audio language model that detects human speech.
The model hears one short sound clip, reads <INS>, and gives its answer. Some clips are degraded:
they are very short, noisy, reverberant or filtered.

Below are some previous instructions with their scores. The score ranges from 0 to 100; higher is
better.
"""
_FEEDBACK = """\
You cannot hear the clips. This is what the last instruction above, the best one, gets wrong:
"""
_WANTED = """\
Write one new instruction that is different from all instructions above and has a higher score. It
should be concise, effective, and apply to any clip. {answers}
It has at most {max_chars} characters, in the language of the instructions above, without special
tokens.
Begin it with <INS> and end it with </INS>."""

_LABELS = "It names the two allowed answers, SPEECH and NONSPEECH, in these words."
_OPTIONS = "It names the options with their letters, such as A) SPEECH B) NONSPEECH."
_ANSWERS: dict[str, str] = {
    AUTO: "It names the two allowed answers, SPEECH and NONSPEECH, in these words, or as options "
    "A) and B).",
    AnswerFormat.LABELS: _LABELS,
    AnswerFormat.AB: _OPTIONS,
    AnswerFormat.MC: "It names four options A), B), C) and D), of which A) is SPEECH.",
    AnswerFormat.OPEN: "It may let the model answer in its own words.",
}


class OproProposer:
    """Has an optimizer LLM write better instructions."""

    def __init__(
        self,
        llm: TextLLM,
        *,
        objective: str,
        answer_format: str = AUTO,
        before_call: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare.

        Args:
            llm: Writes the instructions.
            objective: What the scores of the history are.
            answer_format: Answer format of the search.
            before_call: Called before each call of the LLM; may end the search.
        """
        self._llm = llm
        self._objective = objective
        self._answer_format = answer_format
        self._before_call = before_call

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return the candidates in `count` answers of the LLM."""
        if not history:
            return []
        seeds = [int(seed) for seed in rng.integers(_NUM_SEEDS, size=count)]
        prompt = meta_prompt(history, self._objective, self._answer_format)
        answers = answers_in_batches(self._llm, prompt, seeds, self._before_call)
        like = history[0].candidate.text
        origin = f"{ORIGIN}, step {1 + max(entry.iteration for entry in history)}"
        return [item for answer in answers for item in sanitized(answer, like, origin)]


def answers_in_batches(
    llm: TextLLM, prompt: str, seeds: Sequence[int], before_call: Callable[[], None]
) -> list[Answer]:
    """Return one answer per seed, requesting as many at once as suits the model."""
    size = llm.at_once or len(seeds) or 1
    answers: list[Answer] = []
    for start in range(0, len(seeds), size):
        before_call()
        answers += llm.answers(prompt, seeds[start : start + size])
    return answers


def sanitized(answer: Answer, like: str, origin: str) -> list[Candidate | Refusal]:
    """Return the instructions of an answer, and why what else it holds is refused.

    Length, special tokens and label words are checked by the search, for every proposer.

    Args:
        answer: As the LLM gave it.
        like: An instruction in the required language.
        origin: Origin of the candidates.
    """
    found = read_answer(answer.text, whole=not answer.fault)
    if answer.fault and not found.instructions:
        return [Refusal(answer.text, f"the answer {answer.fault}", origin)]
    checked: list[Candidate | Refusal] = []
    for text in map(clean_text, found.instructions):
        problem = language_problem(text, like)
        accepted = problem is None
        checked.append(Candidate(text, origin) if accepted else Refusal(text, str(problem), origin))
    reasons = found.reasons
    return checked + [Refusal(answer.text, f"the answer {why}", origin) for why in reasons]


def meta_prompt(
    history: Sequence[ScoredCandidate], objective: str, answer_format: str = AUTO
) -> str:
    """Return the prompt for the optimizer LLM.

    Args:
        history: Every scored candidate; at least one.
        objective: What their scores are.
        answer_format: Answer format of the search.
    """
    best = sorted(history, key=lambda entry: (-entry.score, entry.number))[:MAX_SHOWN]
    shown = [
        f"text:\n{entry.candidate.text}\nscore:\n{shown_score(entry.score, objective)}\n"
        for entry in reversed(best)
    ]
    errors = "\n".join(f"- {line}" for line in error_summary(best[0].measures))
    wanted = _WANTED.format(answers=_ANSWERS[answer_format], max_chars=LONGEST_INSTRUCTION)
    return "\n".join([_TASK, *shown, _FEEDBACK + errors + "\n", wanted])


def shown_score(score: float, objective: str) -> int:
    """Return a score as an integer from 0 to 100; a log-loss as the probability that it means."""
    if objective == "log_loss":
        share = math.exp(min(score, 0.0))
    elif objective == "reward":
        share = score / (1 + CONDITIONS_WEIGHT)
    else:
        share = score
    return round(100 * min(1.0, max(0.0, share)))
