"""The two ways in which transformers has named the parts of an audio LLM.

Up to version 4 the language model and its output matrix were one module (`language_model.model...`,
`language_model.lm_head`) beside `audio_tower` and `multi_modal_projector`; since version 5 all but
the output matrix is within `model`. Weights on disk and adapters have either kind of names.
"""

from __future__ import annotations

# A name begins with one of these, a dot, and more; or it is the name of that module itself.
_OLDER_TO_TODAY = {
    "language_model.model": "model.language_model",
    "language_model.lm_head": "lm_head",
    "audio_tower": "model.audio_tower",
    "multi_modal_projector": "model.multi_modal_projector",
}
_TODAY_TO_OLDER = {today: older for older, today in _OLDER_TO_TODAY.items()}


def todays_name(name: str) -> str:
    """Return the name that a module or tensor has today; one of today's stays as it is."""
    return _renamed(name, _OLDER_TO_TODAY)


def older_name(name: str) -> str:
    """Return the name that a module or tensor of today had up to transformers 4."""
    return _renamed(name, _TODAY_TO_OLDER)


def _renamed(name: str, prefixes: dict[str, str]) -> str:
    for old, new in prefixes.items():
        if name == old or name.startswith(f"{old}."):
            return new + name[len(old) :]
    return name
