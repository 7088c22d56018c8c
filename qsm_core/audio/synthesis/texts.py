"""What the synthetic voices say: invented words for pretraining, real sentences for the corpus."""

from __future__ import annotations

import numpy as np

_ONSETS = (
    *("b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "sh", "ch"),
    *("br", "dr", "fl", "gr", "kl", "pl", "pr", "sk", "sl", "sm", "sp", "st", "tr", "", "", "j"),
)
_NUCLEI = ("a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ea", "ou", "ie", "au", "ia", "oo")
_CODAS = ("", "", "", "", "n", "r", "s", "l", "m", "t", "k", "nd", "st", "ng", "p", "sh")
_PUNCTUATION = (".", "!", "?", ",", ";")

CORPUS_SENTENCES: dict[str, tuple[str, ...]] = {
    "en-us": (
        "The ferry leaves at seven from the old harbour.",
        "Could you water the tomatoes while I am away?",
        "My brother repairs bicycles behind the station.",
        "There was snow on the roof this morning.",
        "Nobody told the baker that the oven was cold.",
        "Please sign both copies and keep the yellow one.",
    ),
    "es": (
        "El tren de la mañana llega siempre con retraso.",
        "Mi abuela guarda las cartas en una caja azul.",
        "¿Quieres probar la sopa antes de cenar?",
        "Ayer vimos tres barcos cerca del faro.",
        "Los niños juegan en la plaza hasta muy tarde.",
    ),
    "de": (
        "Der Schlüssel liegt unter dem Blumentopf.",
        "Gestern hat es den ganzen Tag geregnet.",
        "Können wir uns vor der Bibliothek treffen?",
        "Meine Schwester lernt seit Mai Geige spielen.",
        "Die Kinder bauen eine Hütte im Wald.",
    ),
    "fr": (
        "Le chat dort sur la chaise près du feu.",
        "Nous avons oublié le pain chez le voisin.",
        "Peux-tu fermer la fenêtre de la cuisine ?",
        "Les bateaux rentrent au port avant la nuit.",
        "Il reste deux places au dernier rang.",
    ),
    "it": (
        "La domenica mangiamo tutti insieme in giardino.",
        "Hai visto i miei occhiali sul tavolo?",
        "Il postino passa ogni giorno alle dieci.",
        "Quella strada porta dritto al fiume.",
    ),
    "pt": (
        "O café está pronto, vem para a mesa.",
        "A minha vizinha canta muito bem.",
        "Quando chegaste ontem à noite?",
        "As crianças apanharam conchas na praia.",
    ),
    "nl": (
        "De fiets staat achter het oude schuurtje.",
        "Morgen gaan we vroeg naar de markt.",
        "Wie heeft de lamp laten branden?",
        "Mijn oom bouwt kleine houten boten.",
    ),
    "sv": (
        "Båten ligger kvar vid den långa bryggan.",
        "Vill du ha socker i kaffet?",
        "Vi plockade blåbär hela eftermiddagen.",
        "Hon läser högt för sina barnbarn.",
    ),
    "pl": (
        "Dziadek naprawia zegary w małym warsztacie.",
        "Czy możesz kupić chleb i masło?",
        "Wczoraj padał deszcz przez cały dzień.",
        "Dzieci biegną do szkoły przez park.",
    ),
    "fi": (
        "Järven ranta on hiljainen aamulla.",
        "Haluatko lisää keittoa?",
        "Isoäiti kutoo villasukkia talveksi.",
        "Juna lähtee raiteelta kolme.",
    ),
    "ro": (
        "Trenul de noapte pleacă din gara veche.",
        "Vrei să mergem mâine la munte?",
        "Bunica pune flori pe masa din curte.",
        "Copiii strâng castane sub podul mic.",
    ),
    "id": (
        "Ibu membeli sayur di pasar pagi.",
        "Apakah kamu sudah makan siang?",
        "Anak-anak bermain bola di lapangan.",
        "Kereta terakhir berangkat jam sembilan.",
    ),
}


def invented_sentence(rng: np.random.Generator, num_words: int = 6) -> str:
    """Return a sentence of words that no language has, for the voices to read by their rules."""
    words = [_invented_word(rng) for _ in range(num_words)]
    if num_words > 3 and rng.random() < 0.3:
        words[int(rng.integers(num_words - 1))] += ","
    return " ".join(words).capitalize() + str(rng.choice(_PUNCTUATION))


def _invented_word(rng: np.random.Generator) -> str:
    """Return one to four syllables."""
    syllables = int(rng.choice([1, 2, 2, 3, 3, 4]))
    parts: list[str] = []
    for _ in range(syllables):
        parts += [str(rng.choice(_ONSETS)), str(rng.choice(_NUCLEI)), str(rng.choice(_CODAS))]
    return "".join(parts)
