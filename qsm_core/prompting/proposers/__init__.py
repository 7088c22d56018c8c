"""The proposers of instructions: templates, a pool, recombination, paraphrase, an optimizer LLM.

A proposer sees what was scored and returns new texts. It may return too many, too few, or repeated
texts: the search cleans and filters, and records what was proposed before it scores. So a search
can be resumed even if a proposer would not return the same texts again.
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
