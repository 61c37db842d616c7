"""The dimensions of a code, one by one: what each does to a clip, and what it knows of it."""

from latentlab.face import face

_HOMES = {
    "Carriers": "mutual_information",
    "Information": "mutual_information",
    "Perturbation": "perturbation",
    "information": "mutual_information",
    "perturb": "perturbation",
}
__getattr__, __dir__ = face(__name__, _HOMES)
