"""What exactly this document is about: versions, and the hashes of every file that it rests on."""

from collections.abc import Iterator

from linnaea.delivery.dossier.contract import MEASURED, SECTIONS, Block, Sources
from linnaea.delivery.report.words import cell, size
from linnaea.runtime.files import sha256_of

FOLDERS = ("model", "predictions")
FILES = ("run.json", "manifest.csv", "metrics.json", "recipe.toml", "datasheet.toml")
BESIDE = ("README.md", "SHA256SUMS")


@SECTIONS.register("hashes", title="Versions and hashes", order=120)
def hashes(sources: Sources) -> Iterator[Block]:
    """Versions, the fingerprint of the data, and the SHA-256 of the bundle, the predictions and the records."""
    folder = sources.material.folder
    pairs = [
        ("Linnaea", cell(folder.run.get("linnaea"))),
        ("run", folder.name),
        ("fingerprint of the data", cell(folder.dataset.get("fingerprint"))),
    ]
    yield Block(MEASURED, "Versions", "run.json", ("1(a)", "1(c)"), ("Model Details",), pairs=pairs)
    found = [path for name in FOLDERS for path in sorted((folder.path / name).glob("*")) if path.name not in BESIDE]
    found += [path for name in FILES if (path := folder.path / name).is_file()]
    rows = [
        [path.relative_to(folder.path).as_posix(), size(path.stat().st_size), sha256_of(path)]
        for path in found
        if path.is_file()
    ]
    columns = ["File", "Size", "SHA-256"]
    yield Block(
        MEASURED, "Files", "the files themselves", ("1(c)", "6"), ("Model Details",), columns=columns, rows=rows
    )
