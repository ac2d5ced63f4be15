"""A wheel holds the files of onnxruntime-web that `export --to web` puts beside a page, where npm can fetch them."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = Path(__file__).parent / "linnaea" / "delivery" / "exporters" / "onnxruntime_web.py"


class ShipTheRuntime(BuildHookInterface[Any]):
    """Fetches the files before a wheel is packed; without npm or a network the wheel goes without, and says so."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill `onnxruntime` beside the module; an editable install fetches what it needs when it needs it."""
        if version == "editable":
            return
        spec = importlib.util.spec_from_file_location("onnxruntime_web", MODULE)
        assert spec is not None
        assert spec.loader is not None
        web = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(web)
        try:
            if web.found(None) is None:
                web.fetch(web.INSIDE)
        except OSError as error:
            shutil.rmtree(web.INSIDE, ignore_errors=True)
            self.app.display_warning(
                f"The wheel goes without {web.NAMED}, which is fetched when a page is made: {error}"
            )
