"""Who can read what a run writes: its user, and the group of the folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from qsm_core.errors import ConfigurationError

DEFAULT_UMASK = "027"


def restrict_new_files(environment: Mapping[str, str] = os.environ) -> None:
    """Take rights from every file that this process and its children make.

    QSM_UMASK says which: 027 (default) leaves others nothing, 077 the group neither. A umask of
    the user that takes more stays.

    Raises:
        ConfigurationError: QSM_UMASK is no umask.
    """
    text = environment.get("QSM_UMASK", DEFAULT_UMASK)
    if not re.fullmatch(r"0?[0-7]{3}", text):
        problem = f"QSM_UMASK = {text}: three octal digits are allowed, such as 027 or 077"
        raise ConfigurationError("the rights of new files cannot be set", [problem])
    before = os.umask(0o077)
    os.umask(before | int(text, 8))
