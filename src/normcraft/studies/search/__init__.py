"""The search: a study that reaches the grid's verdict within a budget (docs/search.md).

The core (`design`, `halving`, `explore`, `confirm`, `follow`) is a pure function from the scores
that exist to the trials that are needed next; `run` carries it out, `conclude` words it.
"""
