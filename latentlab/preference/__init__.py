"""What people prefer: clips compared two by two or liked one by one, and what their answers say."""

from latentlab.face import face

_HOMES = {
    "Compare": "page",
    "Preference": "bradley_terry",
    "Rating": "ratings",
    "Taste": "taste",
    "fit": "bradley_terry",
    "next_pairs": "bradley_terry",
    "next_settings": "bradley_terry",
    "read_rating_table": "ratings",
    "schedule": "ratings",
    "write_rating_table": "ratings",
}
__getattr__, __dir__ = face(__name__, _HOMES)
