"""Names of the first system's files: base clip, group, class, and what the variant changes."""

import pytest

from qsm_core.conditions.original_names import base_clip
from qsm_core.labels import Label

SPEECH = "voxconverse_afjiv_42.120_1000ms"
SOUND = "esc50_1-17367-A-10_0091_1000ms"
OLDER = "1-172649-B-40_1000ms_010"


@pytest.mark.parametrize(
    ("path", "clip_id", "group_id", "label", "conditions"),
    [
        (f"{SPEECH}.wav", SPEECH, "voxconverse_afjiv", Label.SPEECH, []),
        (f"c:\\a b\\{SPEECH}_dur20ms.wav", SPEECH, "voxconverse_afjiv", Label.SPEECH, ["dur_20ms"]),
        (f"{SPEECH}_reverb0.3s", SPEECH, "voxconverse_afjiv", Label.SPEECH, ["reverb_0.3s"]),
        (f"{SPEECH}_reverbnone", SPEECH, "voxconverse_afjiv", Label.SPEECH, ["reverb_none"]),
        (f"{SPEECH}_rir_T60_0.0-0.4", SPEECH, "voxconverse_afjiv", Label.SPEECH, ["reverb_0.2s"]),
        (f"/d/{SOUND}_snr+20dB.wav", SOUND, "esc50_1-17367", Label.NONSPEECH, ["snr_20dB"]),
        (f"{SOUND}_filternone.wav", SOUND, "esc50_1-17367", Label.NONSPEECH, ["filter_none"]),
        (
            f"{SOUND}_dur20ms_snr-10dB.wav",
            SOUND,
            "esc50_1-17367",
            Label.NONSPEECH,
            ["dur_20ms", "snr_-10dB"],
        ),
        (f"{OLDER}_snr-10db.wav", OLDER, "esc50_1-172649", Label.NONSPEECH, ["snr_-10dB"]),
        (f"{OLDER}_bandtelephony", OLDER, "esc50_1-172649", Label.NONSPEECH, ["filter_bandpass"]),
        (
            f"{OLDER}_normalized_200ms_snr+0dB.wav",
            OLDER,
            "esc50_1-172649",
            Label.NONSPEECH,
            ["dur_200ms", "snr_0dB"],
        ),
    ],
)
def test_file_names_say_clip_group_class_and_conditions(path, clip_id, group_id, label, conditions):
    base = base_clip(path)
    assert (base.clip_id, base.group_id, base.label) == (clip_id, group_id, label)
    assert [condition.key for condition in base.conditions] == conditions


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("noise.wav", "'noise': needed is voxconverse_<recording>_<start>"),
        (f"{SOUND}_bandwide.wav", "'wide': known are none, telephony"),
        (f"{SOUND}_dur0ms.wav", "duration = 0"),
    ],
)
def test_names_without_a_meaning_are_refused(path, message):
    with pytest.raises(ValueError, match=message):
        base_clip(path)
