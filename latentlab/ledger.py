"""The name of `row_log` in version 0.1."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.row_log", {"Ledger": "RowLog"})
