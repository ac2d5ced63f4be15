"""Networks are made without torch's compiler, which is there as soon as anything asks for it."""

import subprocess
import sys

import pytest

from linnaea.models.timm_import import LATER

MADE = """
import sys, torch
from linnaea.models.bodies import create_body
body = create_body("test_resnet", 32, {}).eval()
assert body(torch.zeros(1, 3, 32, 32)).ndim == 2
assert "torch._dynamo" not in sys.modules, "two seconds are spent"
from torchvision.ops import roi_align
box = torch.tensor([[0, 1.0, 1.0, 5.0, 5.0]])
assert roi_align(torch.ones(1, 1, 8, 8), box, 2).shape == (1, 1, 2, 2)
assert isinstance(sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu"), bool)
assert sys.modules["torch._dynamo"].__file__, "the compiler itself"
print(torch.compile(lambda number: number + 1, backend="eager")(torch.ones(1)).item())
"""
ASKED_FOR_MORE = """
import sys
from linnaea.models.timm_import import COMPILER, _StandIn
sys.modules[COMPILER] = _StandIn(COMPILER)
import torch._dynamo.config
print(torch._dynamo.config.__name__, sys.modules[COMPILER].__file__.endswith("__init__.py"))
"""


@pytest.mark.parametrize(("code", "printed"), [(MADE, "2.0"), (ASKED_FOR_MORE, "torch._dynamo.config True")])
def test_the_compiler_is_loaded_when_it_is_used_and_not_before(code, printed):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == printed, done.stderr


@pytest.mark.parametrize("given", [(), (None,)])
def test_what_is_kept_from_the_compiler_computes_as_it_did(given):
    def doubled(number):
        return 2 * number

    kept = LATER["disable"](*given)(doubled) if given else LATER["disable"](doubled, recursive=True)
    assert (kept(3), kept.__name__) == (6, "doubled")
