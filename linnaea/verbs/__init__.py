"""The verbs: one file for each, with one function of its name; `linnaea.NAME` and `linnaea NAME` are it."""
