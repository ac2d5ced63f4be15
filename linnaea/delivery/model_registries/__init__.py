"""Model registries: places that keep versions of bundles by name, from which each comes back as it went in."""

from linnaea.delivery.model_registries.contract import MODEL_REGISTRIES, ModelRegistry, Version
from linnaea.delivery.model_registries.passing import Pulled, Pushed, pull, push

__all__ = ["MODEL_REGISTRIES", "ModelRegistry", "Pulled", "Pushed", "Version", "pull", "push"]
