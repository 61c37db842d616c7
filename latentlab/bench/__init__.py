"""`latentlab bench`: questions asked of the code, each answered once, kept, and put on one page that can be compared.

A script of `benchmarks/` has a docstring, which is its question, and `run(config)` that returns figures: a dictionary
of numbers, of `{"value", "interval", "null"}`, or of dictionaries of these. It may have `parts(figures)`, which makes
parts of a report. An answer is kept under a hash of its settings, of all code of latentlab, of the script and of the
weights, so that it is computed again when one of them changes and not before.
"""

from latentlab.bench.run import bench, compare_benches
from latentlab.bench.script import SCRIPTS, find_scripts, parse_settings

__all__ = ["SCRIPTS", "bench", "compare_benches", "find_scripts", "parse_settings"]
