"""The text model that comes as a package, for every flow whose default it is."""

from __future__ import annotations

from flows.run.stages import NamedRole, RunStages
from qsm_core.models.text.embedded_text import embedded_text_model
from qsm_core.models.text.gguf_config import ConvertGguf
from tasks.run.handle import StageHandle
from tasks.text_models import convert_gguf

EMBEDDED_MODEL = NamedRole("embedded_model")


def embedded_model(run: RunStages) -> StageHandle:
    """Return the package's model as a folder that loads at once; made once a run and store.

    Raises:
        ConfigurationError: The package is not installed; says how to install it.
    """
    known = run.by_role.get(EMBEDDED_MODEL)
    if known is not None:
        return known
    file = run.digest(embedded_text_model())
    return run.submit(convert_gguf, ConvertGguf(), role=EMBEDDED_MODEL, inputs={"file": file})
