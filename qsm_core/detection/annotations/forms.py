"""Names of the forms that tables of events can have."""

from __future__ import annotations

from typing import Literal, get_args

TableForm = Literal["auto", "raven", "audacity", "csv", "dcase", "rttm"]
TABLE_FORMS: tuple[TableForm, ...] = get_args(TableForm)

# By crowsetta's names. Its form of Raven's tables is not among them: ours counts a selection with
# two views once.
CrowsettaForm = Literal[
    "aud-bbox",
    "aud-seq",
    "birdsong-recognition-dataset",
    "generic-seq",
    "notmat",
    "simple-seq",
    "textgrid",
    "timit",
    "yarden",
]
CROWSETTA_FORMS: tuple[CrowsettaForm, ...] = get_args(CrowsettaForm)

AnnotationForm = Literal[TableForm, CrowsettaForm]
