"""Plans kept from run to run: each in a file of its own in the cache, with all that it depends on."""

import logging
from collections.abc import Mapping
from typing import Any

from linnaea.runtime.cache import PLANS, cache_folder
from linnaea.runtime.documents import read_document, write_document
from linnaea.runtime.plan.contract import Plan

logger = logging.getLogger("linnaea")


def recall(key: Mapping[str, Any]) -> Plan | None:
    """The plan that was measured under exactly this key; None where there is none, or none that can be read."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        found = read_document(folder / PLANS, key)
        return None if found is None else Plan.from_json(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.debug(f"the plan remembered in {folder / PLANS} cannot be read and is measured again: {error!r}")
        return None


def remember(key: Mapping[str, Any], plan: Plan) -> None:
    """Keep a plan under its key, in the place of an older one; where the disk refuses, nothing is kept."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        write_document(folder / PLANS, key, plan.to_json())
    except OSError as error:
        logger.debug(f"the plan cannot be kept in {folder / PLANS}: {error}")
