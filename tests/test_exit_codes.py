"""The exit code says what happened, however a command ends."""

import subprocess
import sys

READS_A_WRONG_TABLE = """
import io, sys, time

class Slow(io.BytesIO):
    def read(self, *size):
        time.sleep(0.2)
        return super().read(*size)

io.BytesIO = Slow
from linnaea.data.sources.loading import load
try:
    load(CONTENT, NAME)
except ValueError:
    sys.exit(2)
"""


def test_no_thread_of_arrow_reads_on_while_python_ends():
    """A reader in the background that waits for a file of Python would abort the process at its end."""
    wrong = "b'path,label\\nb.png,cat,3\\n' + b'a.png,cat\\n' * 300_000"
    for content, name in ((wrong, "labels.csv"), ("b'PAR1' + b'no' * 2_000_000", "labels.parquet")):
        code = READS_A_WRONG_TABLE.replace("CONTENT", content).replace("NAME", repr(name))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, "")
