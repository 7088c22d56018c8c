"""Score tracks that are there already, found by what was heard and not by what it is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from qsm_core.detection.recordings import Recording
from qsm_core.detection.tracks import TrackInfo, read_track_info, track_file_name, track_files
from qsm_core.errors import QsmError

_Heard = tuple[str, int | None]


class KnownTracks:
    """The tracks of one detector, in folders of tracks.

    Args:
        folders: Where they may be; missing ones hold none.
        detector_digest: Of the detector.
    """

    def __init__(self, folders: Sequence[Path], detector_digest: str) -> None:
        self._folders = tuple(folders)
        self._digest = detector_digest
        self._by_sound: dict[_Heard, Path] | None = None
        self._added: dict[_Heard, Path] = {}

    def find(self, recording: Recording) -> Path | None:
        """Return a track of this sound; its recording may have another name."""
        heard = (recording.sha256, recording.channel)
        for folder in self._folders:
            path = folder / track_file_name(recording.recording_id)
            if path.is_file() and self._heard(path) == heard:
                return path
        if self._by_sound is None:
            self._by_sound = dict(self._all())
        return self._by_sound.get(heard) or self._added.get(heard)

    def add(self, path: Path, info: TrackInfo) -> None:
        """Note a track that was just written."""
        self._added[info.audio_digest, info.channel] = path

    def _all(self) -> Iterator[tuple[_Heard, Path]]:
        for folder in self._folders:
            for path in track_files(folder):
                heard = self._heard(path)
                if heard is not None:
                    yield heard, path

    def _heard(self, path: Path) -> _Heard | None:
        try:
            info = read_track_info(path)
        except QsmError:  # torn by a full disk, or of an older version: it is made again
            return None
        same = info.detector_digest == self._digest
        return (info.audio_digest, info.channel) if same else None
