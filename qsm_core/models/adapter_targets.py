"""What the settings of an adapter say of a module, as PEFT reads them, without torch.

`layout` turns a name of today into the one that the settings are matched against.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

Settings = Mapping[str, Any]
Layout = Callable[[str], str]

_DEFAULTS = {"r": 8, "lora_alpha": 8}  # where a file leaves them out


def named_modules(settings: Settings, modules: Iterable[str], layout: Layout) -> set[str]:
    """Return those of the modules that `target_modules` names and nothing takes out again.

    Raises:
        re.error: A pattern is no regular expression.
    """
    excluded = settings.get("exclude_modules") or ()
    saved = [rf"(.*\.)?{name}(\..*)?" for name in settings.get("modules_to_save") or ()]
    return {
        module
        for module in modules
        for name in [layout(module)]
        if _matches(settings["target_modules"], name)
        and not (excluded and _matches(excluded, name))
        and not any(re.fullmatch(pattern, name) for pattern in saved)
        and _is_of_layers(settings, name)
    }


def setting_of(settings: Settings, field: str, patterns: str, module: str, layout: Layout) -> Any:
    """Return a setting of one module: that of the first pattern which its name ends with.

    Args:
        settings: Of the adapter.
        field: Holds the value of all other modules: "r" or "lora_alpha".
        patterns: Holds the values by pattern.
        module: Its name today.
        layout: Of the names that the patterns are about.
    """
    by_pattern: Settings = settings.get(patterns) or {}
    for pattern, value in by_pattern.items():
        if re.match(rf"(.*\.)?({pattern})$", layout(module)):
            return value
    return settings.get(field, _DEFAULTS[field])


def _matches(pattern: str | Collection[str], name: str) -> bool:
    if isinstance(pattern, str):
        return re.fullmatch(pattern, name) is not None
    return any(name == one or name.endswith(f".{one}") for one in pattern)


def _is_of_layers(settings: Settings, name: str) -> bool:
    layers = settings.get("layers_to_transform")
    if layers is None or layers == []:
        return True
    patterns = settings.get("layers_pattern") or r"[^.]*"
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        found = re.match(rf"(?:^|.*?\.){pattern}\.(\d+)\.", name)
        if found:
            return int(found[1]) in ([layers] if isinstance(layers, int) else layers)
    return False
