"""What products are made of: a place with its people and things, and what a product does there.

A product is a place and a purpose. Training and evaluation share neither places nor purposes, so a
model is evaluated on products, people, things and features that it was not trained on. What they
share is the form of a case and the pools of qualities and constraints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Pool = Literal["training", "evaluation"]


@dataclass(frozen=True)
class Place:
    """Where a product is used: `guests` and `staff` are its people, `thing` what it is about."""

    name: str
    thing: str
    things: str
    guests: str
    staff: str

    def fill(self, text: str) -> str:
        """Return a text with the thing of this place."""
        article = "an" if self.thing[0] in "aeiou" else "a"
        return text.format(one=f"{article} {self.thing}", thing=self.thing, things=self.things)


@dataclass(frozen=True)
class Purpose:
    """What a product does.

    Attributes:
        name: Last word of the product's name.
        goal: What is better with it.
        for_guests: What guests can do; {one}, {thing} and {things} stand for the thing.
        for_staff: What the staff can do.
        out_of_scope: What it is not for.
    """

    name: str
    goal: str
    for_guests: tuple[str, str]
    for_staff: tuple[str, str]
    out_of_scope: str


PLACES: dict[Pool, tuple[Place, ...]] = {
    "training": (
        Place("tool library", "tool", "tools", "neighbours", "volunteers"),
        Place("village choir", "score", "scores", "singers", "conductors"),
        Place("allotment society", "plot", "plots", "gardeners", "wardens"),
        Place("bicycle workshop", "bicycle", "bicycles", "riders", "mechanics"),
        Place("food bank", "parcel", "parcels", "families", "helpers"),
        Place("climbing hall", "route", "routes", "climbers", "route setters"),
        Place("language school", "course", "courses", "learners", "teachers"),
        Place("animal shelter", "kennel", "kennels", "adopters", "keepers"),
        Place("island ferry", "crossing", "crossings", "islanders", "skippers"),
        Place("city museum", "tour", "tours", "visitors", "guides"),
        Place("dental practice", "chair", "chairs", "patients", "receptionists"),
        Place("cider orchard", "tree", "trees", "pickers", "growers"),
        Place("film club", "screening", "screenings", "members", "projectionists"),
        Place("swimming pool", "lane", "lanes", "swimmers", "lifeguards"),
        Place("repair cafe", "device", "devices", "owners", "repairers"),
        Place("school kitchen", "meal", "meals", "pupils", "cooks"),
        Place("pottery studio", "kiln", "kilns", "potters", "technicians"),
        Place("mountain hut", "bunk", "bunks", "hikers", "hut keepers"),
    ),
    "evaluation": (
        Place("street theatre", "costume", "costumes", "actors", "dressers"),
        Place("honey farm", "hive", "hives", "beekeepers", "inspectors"),
        Place("sailing school", "dinghy", "dinghies", "sailors", "instructors"),
        Place("chess club", "board", "boards", "players", "arbiters"),
        Place("hospital laundry", "uniform", "uniforms", "nurses", "porters"),
        Place("seed bank", "sample", "samples", "farmers", "botanists"),
        Place("taxi cooperative", "ride", "rides", "passengers", "drivers"),
        Place("art gallery", "painting", "paintings", "collectors", "curators"),
        Place("night market", "stall", "stalls", "traders", "stewards"),
        Place("robotics laboratory", "robot", "robots", "students", "supervisors"),
        Place("sledge rental", "sledge", "sledges", "families on holiday", "clerks"),
        Place("county archive", "letter", "letters", "historians", "archivists"),
    ),
}

PURPOSES: dict[Pool, tuple[Purpose, ...]] = {
    "training": (
        Purpose(
            "Planner",
            "nobody waits for {one} in vain",
            ("book {one} for a day", "cancel a booking without a call"),
            ("see which {things} are booked", "block {one} for repairs"),
            "Taking payments",
        ),
        Purpose(
            "Register",
            "everybody works from one list of {things}",
            ("look up {one} by name", "print a list of {things}"),
            ("add {one} with a photo", "mark {one} as missing"),
            "Replacing paper records of earlier years",
        ),
        Purpose(
            "Alerts",
            "news about {things} arrives in time",
            ("choose which {things} to follow", "mute notices at night"),
            ("send a notice about {one}", "see who has read a notice"),
            "Chat between people",
        ),
        Purpose(
            "Rota",
            "somebody looks after every {thing}",
            ("see who looks after {one} today", "call for help with {one}"),
            ("take a shift with one tap", "swap a shift with a colleague"),
            "Working out wages",
        ),
        Purpose(
            "Feedback",
            "trouble with {things} is noticed early",
            ("rate {one} after use", "attach a photo to a report"),
            ("answer a complaint within a day", "list the worst rated {things}"),
            "Public reviews",
        ),
        Purpose(
            "Lessons",
            "people handle {things} with confidence",
            ("watch a short lesson about {one}", "take a quiz after a lesson"),
            ("write a lesson about {things}", "retire a lesson that is out of date"),
            "Issuing certificates",
        ),
    ),
    "evaluation": (
        Purpose(
            "Exchange",
            "no {thing} lies idle while others need it",
            ("offer {one} to others", "search for {one} of a certain kind"),
            ("approve an offer before it appears", "remove an offer that is too old"),
            "Shipping by post",
        ),
        Purpose(
            "Map",
            "nobody loses time on the way to {one}",
            ("find the nearest {thing}", "save a path to {one}"),
            ("move {one} on the map", "close an area of the map"),
            "Directions for cars",
        ),
        Purpose(
            "Ledger",
            "the money spent on {things} is plain to all",
            ("compare the price of {things}", "question an entry in the ledger"),
            ("record the cost of {one}", "export all costs of a month"),
            "Tax returns",
        ),
        Purpose(
            "Inspector",
            "faults of {things} are found before they hurt",
            ("report a fault of {one}", "read when {one} was inspected"),
            ("inspect {one} with a checklist", "order a spare part after an inspection"),
            "Buying insurance",
        ),
    ),
}


@dataclass(frozen=True)
class Statement:
    """A quality or a constraint as an analyst writes it, and what a review says of it."""

    requirement: str
    review: str


QUALITIES = (
    Statement("Pages open within {number} seconds.", "makes pages open within {number} seconds"),
    Statement(
        "The service is available {share} percent of the time.",
        "keeps the service available {share} percent of the time",
    ),
    Statement(
        "Up to {people} people work at the same time.",
        "lets up to {people} people work at the same time",
    ),
    Statement(
        "A backup is written every {number} hours.", "asks for a backup every {number} hours"
    ),
)
# Without a number nobody can say whether they are met: gaps.
VAGUE_QUALITIES = (
    Statement("Pages open quickly.", "gives no number for how quickly pages open"),
    Statement("The service is easy to learn.", "does not say how easy to learn is measured"),
    Statement("The service copes with many people.", "gives no number of people to cope with"),
    Statement("Backups are written often.", "does not say how often backups are written"),
)
CONSTRAINTS = (
    Statement(
        "Data stays on servers within the country.", "keeps data on servers within the country"
    ),
    Statement(
        "The first version costs at most {people}00 euros.",
        "limits the first version to {people}00 euros",
    ),
    Statement("Only open source libraries are used.", "keeps to open source libraries"),
    Statement(
        "The first version is ready in {number} months.",
        "sets {number} months for the first version",
    ),
)
NUMBERS = ("two", "three", "four", "five", "six")
SHARES = ("98", "99", "99.5")
PEOPLE = ("50", "80", "100", "200", "500")
