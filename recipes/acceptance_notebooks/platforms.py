"""What differs between the platforms: words, and the folders of a session."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """One platform.

    Args:
        name: Of the notebook's file, behind `acceptance_`.
        title: As the platform calls itself.
        gpu: How a session gets a GPU.
        work: Folder in which everything is made.
        keep: Folder that outlives the session; what is saved goes there.
        afterwards: Where a user finds what was saved.
        drive: Where Google Drive is mounted; empty where there is none.
    """

    name: str
    title: str
    gpu: str
    work: str
    keep: str
    afterwards: str
    drive: str = ""


PLATFORMS = (
    Platform(
        name="colab",
        title="Google Colab",
        gpu="Runtime > Change runtime type > T4 GPU",
        work="/content/qsm",
        keep="/content/drive/MyDrive/qsm_acceptance",
        afterwards="The files lie in Google Drive, in `qsm_acceptance`. A store cannot lie there, "
        "so a session that is cut off begins again.",
        drive="/content/drive",
    ),
    Platform(
        name="kaggle",
        title="Kaggle",
        gpu="Settings > Accelerator > GPU T4 x2, and Internet on (both need a verified account)",
        work="~/qsm",
        keep="/kaggle/working",
        afterwards="The files are in the tab Output. Of the two GPUs each arm takes one; "
        "`--shards=2` among the flags spreads an arm over both.",
    ),
    Platform(
        name="lightning",
        title="Lightning AI Studio",
        gpu="Machine > T4 > Request (a new Studio has a CPU)",
        work="~/qsm",
        keep="~/qsm_acceptance",
        afterwards="The files lie in the home of the Studio, which outlives a pause; so does the "
        "store, and a run that was cut off goes on where it was.",
    ),
)
