"""Who proposes instructions: templates, a pool, recombination, paraphrase, an optimizer LLM.

A proposer sees what was scored and returns new texts. It may return too many, too few, or texts
that were there before: the search cleans and filters, and writes down what was proposed before it
scores. So a proposer need not answer twice in the same way for a search to be resumed.
"""

from qsm_core.prompting.proposers.fixed import PoolProposer, TemplateProposer
from qsm_core.prompting.proposers.paraphrase import ParaphraseProposer
from qsm_core.prompting.proposers.protocol import Chain, Proposer
from qsm_core.prompting.proposers.recombination import RecombinationProposer, split_instruction

__all__ = [
    "Chain",
    "ParaphraseProposer",
    "PoolProposer",
    "Proposer",
    "RecombinationProposer",
    "TemplateProposer",
    "split_instruction",
]
