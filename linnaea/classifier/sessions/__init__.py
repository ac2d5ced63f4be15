"""Sessions: how each runtime runs an exported model; each file travels as `session.py` beside one.

A session file imports the standard library and numpy, its runtime only where it is used, and has `FILES`, the names of
what it reads, `NEEDS`, the modules it needs besides numpy and Pillow, `PACKAGES`, by which pip installs them, and
`Session(folder, threads)` with `run(images)`.
"""
