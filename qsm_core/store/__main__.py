"""Look after a store: list, show, verify, prune and adopt outputs.

python -m qsm_core.store list
python -m qsm_core.store --help
"""

from __future__ import annotations

from qsm_core.store.command_line import app
from qsm_core.typed_arguments import refuse_empty_arguments

refuse_empty_arguments()
app()
