"""Look after a store from a terminal: `python -m qsm_core.store --help`."""

from __future__ import annotations

from qsm_core.store.command_line import app

app(prog_name="python -m qsm_core.store")
