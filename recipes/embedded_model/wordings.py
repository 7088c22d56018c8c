"""The words of the instructions that the embedded model is trained on, and what each brings.

Every kind of question has several wordings and a criterion: how readily the model is taught to
say SPEECH when asked that way. This is a choice of the recipe, made so that wording matters as it
does for a large model, and no property of the words. No wording is one of the product's own
templates except the baseline question.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of question.

    Attributes:
        wordings: Texts with slots {clip}, {someone}, {talks}, {a_voice}, {labels}, {answer}.
        criterion: Above 0, the share of speech that is missed; below 0, the share of other sounds
            that is called speech; 0 for the even decision.
        sharpness: 1 for a clear answer; near 0 the answer has little to do with the sound.
        weight: How often the kind is drawn.
    """

    wordings: tuple[str, ...]
    criterion: float
    sharpness: float = 1.0
    weight: float = 1.0


SLOTS: dict[str, tuple[str, ...]] = {
    "clip": (
        "clip",
        "audio",
        "recording",
        "sound",
        "audio clip",
        "sample",
        "segment",
        "sound file",
    ),
    "someone": (
        "someone",
        "a person",
        "somebody",
        "anyone",
        "a human",
        "a speaker",
        "a man or a woman",
    ),
    "talks": ("talks", "speaks", "says something", "is talking", "is speaking"),
    "talking": ("talking", "speaking"),
    "a_voice": ("a voice", "a human voice", "spoken words", "a talking voice", "a person's voice"),
    "labels": (
        "SPEECH or NONSPEECH",
        "SPEECH or NONSPEECH",
        "NONSPEECH or SPEECH",
        "SPEECH or NON-SPEECH",
    ),
    "answer": (
        "Answer",
        "Answer with",
        "Reply with",
        "Respond with",
        "Say",
        "Output",
        "Choose",
        "Return",
    ),
    "sounds": (
        "music, noise, animals or silence",
        "engines, wind, rain or footsteps",
        "music, tools, traffic, water and alarms",
        "barking, birdsong, clicks, hum and hiss",
        "instruments, machines, weather and background noise",
        "beeps, knocks, music or nothing at all",
    ),
    "cues": (
        "pitch, formants and syllables",
        "vowels, consonants and syllable rhythm",
        "the vocal tract: voicing, formants, fricatives",
        "voiced pitch, vowel formants and fricatives",
        "moving formants and a speaking rhythm",
    ),
}

KINDS: dict[str, Kind] = {
    "plain question": Kind(
        (
            "Does this {clip} contain human speech? {answer} {labels}.",
            "Does this audio contain human speech? Answer SPEECH or NONSPEECH.",
            "Does this audio contain human speech? Reply with ONLY one word: SPEECH or NON-SPEECH.",
            "Does the {clip} contain speech? {answer} {labels}.",
            "Is human speech contained in this {clip}? {labels}.",
            "Is there human speech in this {clip}? {answer} {labels}.",
        ),
        criterion=0.6,
        weight=1.6,
    ),
    "minimal": Kind(
        (
            "{labels}:",
            "{labels}?",
            "One word: {labels}.",
            "Label: {labels}.",
            "One word only: {labels}",
        ),
        criterion=0.45,
        sharpness=0.6,
    ),
    "binary decision": Kind(
        (
            "Decide: {labels}.",
            "There are two classes, SPEECH and NONSPEECH. To which does this {clip} belong?",
            "Make a binary decision about the {clip}. {answer} {labels}.",
            "Put the {clip} into one of two classes. {answer} {labels}.",
            "Classify this {clip} as {labels}.",
        ),
        criterion=0.35,
    ),
    "definitions": Kind(
        (
            "SPEECH: {someone} {talks}. NONSPEECH: {sounds}. Which one fits this {clip}?",
            "SPEECH means that {someone} {talks}; NONSPEECH means {sounds}. {answer} {labels}.",
            "Use the label SPEECH when {someone} {talks} and NONSPEECH for {sounds}. {labels}?",
            "SPEECH is the label for people who talk, NONSPEECH for all the rest. {labels}?",
        ),
        criterion=0.1,
    ),
    "contrast": Kind(
        (
            "Is this {a_voice}, or is it {sounds}? {answer} {labels}.",
            "Tell talking people from {sounds}. {answer} {labels}.",
            "If {someone} {talks} answer SPEECH; if you hear {sounds} answer NONSPEECH.",
            "NONSPEECH covers {sounds}. SPEECH covers people {talking}. {labels}?",
        ),
        criterion=-0.12,
    ),
    "example": Kind(
        (
            "Example: {someone} {talks}: SPEECH. Example: a dog barks: NONSPEECH. This {clip}?",
            "For instance, a man says a word: SPEECH; a door closes: NONSPEECH. And this {clip}?",
        ),
        criterion=0.3,
        sharpness=0.3,
        weight=0.35,
    ),
    "forced": Kind(
        (
            "You must choose one label even if you are not sure. {answer} {labels}.",
            "Commit to a label, also when the {clip} is short or unclear: {labels}.",
            "A decision is required, guess if you have to. {answer} {labels}.",
        ),
        criterion=-0.25,
    ),
    "conservative": Kind(
        (
            "Say SPEECH only if you are certain that {someone} {talks}. Otherwise say NONSPEECH.",
            "Answer SPEECH only when you clearly hear {a_voice}; in doubt answer NONSPEECH.",
            "Be strict: SPEECH needs clear evidence, everything doubtful is NONSPEECH.",
        ),
        criterion=0.75,
    ),
    "liberal": Kind(
        (
            "Say SPEECH at the slightest hint of {a_voice}, NONSPEECH if there is none at all.",
            "Any trace of {a_voice}, even faint or brief: answer SPEECH, else NONSPEECH.",
            "In doubt answer SPEECH; answer NONSPEECH only when no voice can be there.",
        ),
        criterion=-0.45,
    ),
    "cues": Kind(
        (
            "Listen for {cues}. If you find them answer SPEECH, otherwise NONSPEECH.",
            "Speech has {cues}. Does this {clip}? {answer} {labels}.",
            "Attend to {cues}, then decide: {labels}.",
            "With {cues} the answer is SPEECH, without them it is NONSPEECH.",
        ),
        criterion=0.0,
        sharpness=1.5,
    ),
    "detection task": Kind(
        (
            "Your task is voice activity detection. {answer} {labels}.",
            "You are a voice activity detector. Report {labels} for this {clip}.",
            "Detect voice activity in this short, possibly degraded {clip}: {labels}.",
            "Detect whether a voice is active in the {clip}. {answer} {labels}.",
        ),
        criterion=0.05,
        sharpness=1.2,
    ),
    "likelihood": Kind(
        (
            "How likely is it that {someone} {talks}? Above one half SPEECH, below NONSPEECH.",
            "Question: is it more likely than not that this is {a_voice}? {labels}. Answer:",
        ),
        criterion=0.2,
        sharpness=0.7,
        weight=0.7,
    ),
    "tagged": Kind(
        (
            "<question>speech in the {clip}?</question> <options>SPEECH | NONSPEECH</options>",
            "<task>detect human speech</task> <labels>SPEECH, NONSPEECH</labels>",
        ),
        criterion=-0.55,
        sharpness=0.25,
        weight=0.3,
    ),
    "output only": Kind(
        (
            "Classify the {clip}. Output exactly one word and nothing else: {labels}.",
            "Write only the label, no explanation and no punctuation: {labels}.",
            "Classify. Reply with ONLY one word: {labels}.",
        ),
        criterion=0.5,
    ),
    "listening focus": Kind(
        (
            "Ignore noise, echo and filtering and listen for {a_voice}. {answer} {labels}.",
            "Attend to what is beneath the noise. Is {someone} {talking}? {labels}.",
            "Focus on {a_voice} and not on the background. {answer} {labels}.",
        ),
        criterion=-0.05,
        sharpness=1.2,
    ),
    "short question": Kind(
        (
            "Is {someone} {talking}? {labels}?",
            "Is {someone} {talking} here? {answer} {labels}.",
            "Do you hear {a_voice}? {labels}.",
            "Can you hear {someone} {talking}? {answer} {labels}.",
        ),
        criterion=0.15,
    ),
}

# Remarks before or after a question: text, change of the criterion.
REMARKS: tuple[tuple[str, float], ...] = (
    ("Listen carefully.", -0.05),
    ("The clip may be very short or noisy.", -0.15),
    ("Even brief or noisy speech counts.", -0.2),
    ("Whispered or distant voices count too.", -0.2),
    ("If you are unsure, answer NONSPEECH.", 0.2),
    ("If you are unsure, answer SPEECH.", -0.2),
    ("Only clear speech counts.", 0.25),
    ("Music and noise are NONSPEECH.", 0.05),
    ("Be concise.", 0.0),
    ("Do not explain.", 0.05),
    ("Be accurate.", 0.0),
    ("Think of vowels and syllables.", -0.05),
    ("Answer now.", 0.05),
    ("You are an expert listener.", -0.05),
    ("Please.", 0.0),
)

OPEN_QUESTIONS = (
    "What do you hear?",
    "Describe the {clip}.",
    "What is in this {clip}?",
    "Describe what you hear in one short sentence.",
    "What kind of sound is this?",
)
OPEN_SPEECH = (
    "A person is talking.",
    "Human speech.",
    "Someone speaks.",
    "I hear a human voice that speaks.",
)
OPEN_OTHER = (
    "There is no human speech, only other sounds.",
    "Music or noise.",
    "I hear a sound, but nobody talks.",
    "Background noise without a voice.",
)
YES_NO_QUESTIONS = (
    "Is {someone} {talking}? Answer yes or no.",
    "Do you hear {a_voice}? Yes or no?",
    "Is there speech in this {clip}? Answer YES or NO.",
)
LETTER_QUESTIONS = (
    "What does this {clip} contain?",
    "Which option fits the {clip}?",
    "Choose the option that describes the {clip}.",
    "Is there human speech in the {clip}?",
    "What do you hear?",
)
SPEECH_OPTIONS = (
    "SPEECH (human voice)",
    "SPEECH",
    "human speech",
    "a person talking",
    "spoken voice",
)
OTHER_OPTIONS = (
    "NONSPEECH (music/noise/silence/animals)",
    "NONSPEECH",
    "no human speech",
    "other sounds",
    "everything else",
)
MANY_OPTIONS = (
    "music",
    "noise",
    "animal sounds",
    "silence",
    "environmental sounds",
    "machine noise",
    "a signal tone",
)
LETTER_ENDINGS = ("Answer with A or B ONLY.", "Answer A or B.", "Reply with the letter.", "A or B?")
MANY_ENDINGS = (
    "Answer with A, B, C or D.",
    "Answer with one letter.",
    "Which letter?",
    "Reply with the letter only.",
)

# Common words of instructions that no kind above uses, so that the tokenizer knows them.
GENERAL_TEXTS = (
    "Carefully analyze the provided audio recording and determine whether it contains any speech.",
    "Please evaluate the following sound and identify if human vocalization is present or absent.",
    "Based on the acoustic features, such as harmonics, energy, rhythm and spectral structure,",
    "provide your classification response using only the appropriate category label.",
    "Consider words, sentences, conversation, whispering, shouting, singing, laughing, breathing.",
    "Respond strictly with one of these labels, without additional commentary or reasoning.",
    "First think about the frequency content, then the temporal pattern, then make your judgment.",
    "The environment might include traffic, crowds, applause, wind, water, animals or instruments.",
    "Distinguish between speakers and non-speakers, verbal and non-verbal, language and tone.",
    "Determine, detect, recognize, distinguish, judge, check, verify, assess, examine, inspect.",
    "When the signal is degraded, filtered, reverberant, distorted or extremely short, decide.",
    "present absent true false positive negative correct incorrect certain confident probability",
)
