"""Where a search leaves the page that shows its course; here, since the page itself needs more."""

from __future__ import annotations

from qsm_core.store.layout import VOLATILE_FOLDER

SEARCH_PAGE = f"{VOLATILE_FOLDER}/search.md"
