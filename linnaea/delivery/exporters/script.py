"""The script beside an exported model and the files that it imports: the very ones by which we decode and decide."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from linnaea import arrays, decisions
from linnaea.classifier.sessions import onnx
from linnaea.data.images import bands, damage, decoding, fits, opening
from linnaea.runtime import reading
from linnaea.runtime.files import write_text

BESIDE = (arrays, reading, damage, bands, fits, opening, decoding, decisions)
SCRIPT = Path(__file__).with_name("predict.py")  # read, not imported
ALWAYS = ("numpy", "pillow")
INSTALL = " ".join(("pip install", *onnx.PACKAGES, *ALWAYS))  # as it is in the text of the script
PREDICT, SESSION = "predict.py", "session.py"


def write_script(folder: Path, session: ModuleType) -> None:
    """Write `predict.py` and what it imports into a folder, with the session of the runtime as `session.py`."""
    for module in BESIDE:
        write_text(folder / f"{_own_name(module)}.py", _beside(Path(str(module.__file__))))
    write_text(folder / SESSION, _beside(Path(str(session.__file__))))
    packages = " ".join((*session.PACKAGES, *ALWAYS))
    write_text(folder / PREDICT, _beside(SCRIPT).replace(INSTALL, f"pip install {packages}"))


def script_in(folder: Path) -> ModuleType:
    """The `predict.py` of a folder as a module, with the files beside it and no others of their names."""
    path = folder / PREDICT
    spec = importlib.util.spec_from_file_location(f"linnaea_export_{abs(hash(path))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    names = [*map(_own_name, BESIDE), Path(SESSION).stem]
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(path.parent))
    importlib.invalidate_caches()  # a folder of this name may have been there before, without these files
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)
    return module


def _beside(source: Path) -> str:
    """A file of ours as it is when what it imports from here lies beside it."""
    text = source.read_text(encoding="utf-8")
    for module in BESIDE:
        text = text.replace(f"from {module.__name__} import", f"from {_own_name(module)} import")
    return text.replace(f"from {onnx.__name__} import", f"from {Path(SESSION).stem} import")


def _own_name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]
