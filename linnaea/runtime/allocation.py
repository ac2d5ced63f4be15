"""Memory that is freed: kept for the next step where the same is asked for again and again, else given back."""

import ctypes
import os
import sys
from collections.abc import Mapping
from functools import lru_cache

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # glibc's numbers of what can be set, see mallopt(3)
KEPT = 2**31 - 1
GIVEN_BACK = 2**20  # bytes from which on
AHEAD = 64 * 2**20
LARGEST_KEPT = (2**30, 2**25)  # the second where the library, older, refuses the first


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Let the C library keep what tensors of up to 1 GiB free, for as long as the process lives; whether it will.

    Otherwise each large tensor is mapped anew and each of its pages is faulted in by its first write, which costs as
    much as computing it: a forward pass of MobileNetV2 on 16 images of 224 pixels faults 80,000 times, or never. Only
    for glibc, and not where its allocator was set up or replaced by hand.
    """
    return _may_be_set(environment) and _set()


def give_back_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Let the C library give back at once what is freed of a mebibyte or more; whether it will.

    Otherwise it learns from the largest image that was ever decoded to keep such blocks in each thread's own heap,
    where they are cut up, and a server that decodes whatever it is sent grows from one large image to the next. Whoever
    needs `keep_freed_memory` afterwards has it.
    """
    return _may_be_set(environment) and _give_back()


def _may_be_set(environment: Mapping[str, str]) -> bool:
    by_hand = any(name in ("GLIBC_TUNABLES", "LD_PRELOAD") or name.startswith("MALLOC_") for name in environment)
    return not by_hand and sys.platform == "linux"


def _give_back() -> bool:
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(MMAP_THRESHOLD, GIVEN_BACK) and library.mallopt(TRIM_THRESHOLD, 16 * GIVEN_BACK))


@lru_cache
def _set() -> bool:
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    if not any(library.mallopt(MMAP_THRESHOLD, value) for value in LARGEST_KEPT):
        return False
    trim, pad = library.mallopt(TRIM_THRESHOLD, KEPT), library.mallopt(TOP_PAD, AHEAD)
    return bool(trim and pad)
