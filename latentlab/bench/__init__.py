"""`latentlab bench`: questions asked of the code, each answered once, kept, and put on one page that can be compared.

A script of `benchmarks/` has a docstring, which is its question, a dataclass `Config` of its settings, each with a
default, and `run(config)` that returns figures: a dictionary of numbers, of `{"value", "interval", "null"}`, or of
dictionaries of these; `bench.spread` makes such numbers of clips or seeds. It may have `parts(figures)`, which makes
parts of a report; clips under `"_clips"`, each as `asdict` of `view.report.Coded`, are shown without it. `ALONE = True`
says that it measures seconds. An answer is kept under a hash of its settings, of all code of latentlab and of the
scripts, of the weights and of every file or folder that a setting names, so that it is computed again when one of them
changes and not before.
"""

from latentlab.bench.run import bench, compare_benches
from latentlab.bench.script import ANY_MODEL, SCRIPTS, find_scripts, load_script, parse_settings, settings_of_model

__all__ = [
    "ANY_MODEL",
    "SCRIPTS",
    "bench",
    "compare_benches",
    "find_scripts",
    "load_script",
    "parse_settings",
    "settings_of_model",
]
