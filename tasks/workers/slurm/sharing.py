"""Files of a run that a group of people shares: the umask and the group that a profile names."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

from qsm_core.errors import ConfigurationError
from tasks.workers.slurm.profile_schema import ClusterProfile


def share_with_group(profile: ClusterProfile, store: Path) -> None:
    """Apply the umask of a profile to this process, and its group to the store.

    Files that are made in the store later get the group as well: folders pass it on.

    Raises:
        ConfigurationError: There is no such group, or the user is not in it.
    """
    if profile.umask is not None:
        os.umask(int(profile.umask, 8))
    if profile.group is None:
        return
    try:
        number = grp.getgrnam(profile.group).gr_gid
        store.mkdir(parents=True, exist_ok=True)
        if store.stat().st_gid != number:
            os.chown(store, -1, number)
        if store.stat().st_uid == os.getuid():
            store.chmod(store.stat().st_mode | stat.S_ISGID)
    except (KeyError, PermissionError) as error:
        raise ConfigurationError(
            "the cluster profile cannot be used",
            [f"group = {profile.group!r}: {store} cannot be given to this group: {error}"],
        ) from error
