"""What every run has, whatever its stages: the base of the parameter model of each flow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from qsm_core.errors import ConfigurationError
from tasks.workers.slurm.profile_loader import LOCAL, load_profile

RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]


class RunSettings(BaseModel):
    """Name, seed and place of a run. Its fields come last in forms and in `--help`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(42, ge=0, le=2**31 - 1, description="Root of all randomness.")
    name: RunName | None = Field(
        None, description="Name of the folder of results. Empty: preset and seed."
    )
    force: list[str] = Field(
        default_factory=list,
        description="Stages to make again although they are there, by the names of the plan.",
    )
    plan_only: bool = Field(
        False, description="Show what would be reused and what would run, then end."
    )
    cluster: str = Field(
        LOCAL,
        min_length=1,
        description="Where stages run. local: this machine. Else a SLURM cluster: the name of a "
        "profile that comes with qsm, or the path of your own YAML file.",
    )
    workers: int = Field(2, ge=1, le=256, description="Worker processes of the local cluster.")
    store: str = Field(".qsm/store", description="Folder of finished stages, shared by all runs.")
    results: str = Field("results", description="Folder in which each run's results appear.")

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Put the fields of the flow before those that every run has."""
        fields = cls.__pydantic_fields__
        own = [name for name in fields if name not in RunSettings.model_fields]
        of_run = [name for name in fields if name in RunSettings.model_fields]
        cls.__pydantic_fields__ = {name: fields[name] for name in (*own, *of_run)}

    @property
    def store_folder(self) -> Path:
        """Root of the store."""
        return Path(self.store).expanduser()

    @property
    def results_folder(self) -> Path:
        """Folder of the results of this run."""
        return Path(self.results).expanduser() / str(self.name)

    @property
    def is_local(self) -> bool:
        """Whether the stages run on this machine."""
        return self.cluster == LOCAL


def settings_problems(settings: RunSettings) -> list[str]:
    """List what is wrong with the cluster profile that the settings name."""
    if settings.is_local:
        return []
    try:
        load_profile(settings.cluster)
    except ConfigurationError as error:
        return list(error.problems)
    return []
