"""Where a search writes its page; a module of its own, because `live_page` imports matplotlib."""

from __future__ import annotations

from qsm_core.store.layout import VOLATILE_FOLDER

SEARCH_PAGE = f"{VOLATILE_FOLDER}/search.md"
