"""Models and adapters that the user names, checked from their headers before anything is queued."""

from __future__ import annotations

from pathlib import Path

from qsm_core.errors import ConfigurationError
from qsm_core.models.adapter_fit import fit_adapter
from qsm_core.models.named_files import adapter_problems, model_problems
from qsm_core.stage.workload import Row

ADAPTER_TABLE = "Adapter"


def check_model_and_adapter(model: str, revision: str | None, adapter: str | None) -> None:
    """Refuse a model or an adapter that cannot be used.

    Raises:
        ConfigurationError: Lists what is wrong.
        TransientError: The Hub did not answer.
    """
    problems = model_problems("model", model, revision)
    problems += adapter_problems(adapter, model, revision)
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)


def adapter_rows(adapter: str, model: str, folder: Path) -> list[Row]:
    """Return what a plan shows of an adapter that fits.

    Args:
        adapter: Its folder, as the user named it.
        model: The model, as the user named it.
        folder: Of the model.
    """
    fitted = fit_adapter(Path(adapter).expanduser(), folder)
    base = fitted.stored.base or "not named"
    same = fitted.stored.base is None or _last(base) == _last(model)
    return [
        {
            "adapter": adapter,
            "made for": base if same else f"{base}: another name than {model!r}; is it the same?",
            "adapts": fitted.scope,
            "parameters": f"{fitted.stored.num_parameters:,}",
            "names": "of transformers 4, mapped" if fitted.is_older else "of today",
        }
    ]


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower()
