"""What the process may use: bound cores, control groups of both versions, instruction sets, memory."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from linnaea.runtime import machine
from linnaea.runtime.allocation import give_back_freed_memory, keep_freed_memory
from linnaea.runtime.cgroups import Granted, granted
from linnaea.runtime.machine import available_memory, available_threads, detect, instructions, prepare_processor

GIB = 2**30
MOUNT_2 = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
MOUNTS_1 = "\n".join(
    f"{number} 31 0:30 {{root}} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}"
    for number, name in ((32, "cpu,cpuacct"), (35, "memory"))
)


@pytest.fixture
def system(tmp_path):
    """Writes files below a folder that stands for the root of the file system."""

    def write(files):
        for name, content in files.items():
            place = tmp_path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{content}\n")
        return tmp_path

    return write


def version_2(group="/", **files):
    return {"proc/self/cgroup": f"0::{group}", "proc/self/mountinfo": MOUNT_2, **files}


def test_version_2_limits_cores_and_memory(system):
    files = {
        "cpu.max": "150000 100000",
        "memory.max": 4 * GIB,
        "memory.current": 3 * GIB,
        "memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}",
    }
    root = system(version_2() | {f"sys/fs/cgroup/{name}": content for name, content in files.items()})
    assert granted(root) == Granted(1.5, 3 * GIB), "what the kernel can give up is free"
    assert available_threads(root) == min(2, len(os.sched_getaffinity(0)))


def test_the_tightest_limit_of_all_groups_above_holds(system):
    files = {
        "jobs/cpu.max": "100000 100000",
        "jobs/one/cpu.max": "max 100000",
        "jobs/one/memory.max": "max",
        "jobs/memory.max": GIB,
        "jobs/memory.current": 0,
        "memory.max": 2 * GIB,
        "jobs/one/memory.high": 3 * GIB,
    }
    root = system(version_2("/jobs/one") | {f"sys/fs/cgroup/{name}": content for name, content in files.items()})
    assert granted(root) == Granted(1.0, GIB)


@pytest.mark.parametrize("mounted", ["/", "/docker/a b"])
def test_version_1_is_read_where_it_is_mounted(mounted, system):
    """From outside of a container the whole hierarchy is seen, from inside its own part."""
    inside = "/docker/a b" if mounted == "/" else ""
    root = system(
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/a b\n4:memory:/docker/a b\n0::/",
            "proc/self/mountinfo": MOUNTS_1.format(root=mounted.replace(" ", "\\040")),
            f"sys/fs/cgroup/cpu,cpuacct{inside}/cpu.cfs_quota_us": 300000,
            f"sys/fs/cgroup/cpu,cpuacct{inside}/cpu.cfs_period_us": 100000,
            f"sys/fs/cgroup/memory{inside}/memory.limit_in_bytes": GIB,
            f"sys/fs/cgroup/memory{inside}/memory.usage_in_bytes": GIB // 4,
            f"sys/fs/cgroup/memory{inside}/memory.stat": "total_inactive_file 0",
        }
    )
    assert granted(root) == Granted(3.0, GIB - GIB // 4)


@pytest.mark.parametrize(
    "files",
    [
        {},
        version_2(),
        {"proc/self/cgroup": "nonsense", "proc/self/mountinfo": "1 2 - cgroup\n - \n"},
        version_2(**{"sys/fs/cgroup/cpu.max": "max 100000", "sys/fs/cgroup/memory.max": "max"}),
        version_2(**{"sys/fs/cgroup/cpu.max": "-1", "sys/fs/cgroup/memory.max": "x"}),
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/",
            "proc/self/mountinfo": MOUNTS_1.format(root="/"),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": -1,
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": 100000,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 9223372036854771712,
        },
    ],
    ids=["no Linux", "no files", "nonsense", "max", "damaged", "version 1 unlimited"],
)
def test_where_nothing_is_limited_nothing_is(files, system):
    root = system(files)
    assert granted(root) == Granted()
    assert available_threads(root) == len(os.sched_getaffinity(0))


def test_memory_is_what_is_available_or_what_the_group_leaves(system):
    told = {"proc/meminfo": f"MemTotal:  {8 * GIB // 1024} kB\nMemAvailable:  {2 * GIB // 1024} kB"}
    assert available_memory(system(told)) == 2 * GIB
    group = version_2(**{"sys/fs/cgroup/memory.max": GIB, "sys/fs/cgroup/memory.current": 0})
    assert available_memory(system(group)) == GIB


def test_a_system_that_tells_nothing_is_not_limited(system, monkeypatch):
    root = system({})
    assert available_memory(root) == machine.total_memory(), "all there is, where it is not told what is free"
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "sysconf")
    assert available_memory(root) is None
    assert available_threads(root) == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_threads(root) == 1


@pytest.mark.parametrize(
    ("cap", "left"),
    [
        ("AVX2", ("avx2",)),
        ("avx512_core", ("avx2", "avx512")),
        ("AVX512_CORE_BF16", ("avx2", "avx512", "avx512_bf16")),
        ("AVX512_CORE_AMX", ("avx2", "avx512", "avx512_bf16", "avx512_fp16", "amx_bf16")),
        ("SSE41", ()),
        ("DEFAULT", tuple(machine.OF_INTEL)),
        ("a word that is unknown", tuple(machine.OF_INTEL)),
    ],
)
def test_what_onednn_may_not_use_is_not_there(cap, left, monkeypatch):
    monkeypatch.setattr(machine, "_present", lambda: (*machine.OF_INTEL, "arm_bf16"))
    assert instructions({"ONEDNN_MAX_CPU_ISA": cap}) == instructions({"DNNL_MAX_CPU_ISA": cap}) == (*left, "arm_bf16")


@pytest.mark.parametrize(("cap", "formats"), [("AVX512_CORE", ()), ("AVX512_CORE_BF16", ("bfloat16",))])
def test_bfloat16_is_tried_where_it_is_in_hardware(cap, formats, monkeypatch):
    monkeypatch.setattr(machine, "_present", lambda: machine.OF_INTEL)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
    assert machine.reduced_formats("cpu") == formats


def test_without_onednn_there_is_no_fast_bfloat16(monkeypatch):
    monkeypatch.setattr(machine, "_present", lambda: machine.OF_INTEL)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert machine.reduced_formats("cpu") == ()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/cpuinfo")
def test_linux_and_torch_see_the_same_processor(monkeypatch):
    machine._present.cache_clear()
    told = machine._present()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    machine._present.cache_clear()
    assert machine._present() == told
    machine._present.cache_clear()


def test_a_machine_is_known_by_what_makes_things_fast():
    here = detect()
    assert here.fingerprint == detect().fingerprint
    assert here.to_json()["fingerprint"] == here.fingerprint
    assert here.cores >= 1
    assert here.torch == torch.__version__


def test_no_more_threads_than_granted_cores_are_started(monkeypatch):
    monkeypatch.setattr(machine, "available_threads", lambda: 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    prepare_processor()
    assert torch.get_num_threads() == 2, "as asked"
    monkeypatch.delenv("OMP_NUM_THREADS")
    prepare_processor()
    assert torch.get_num_threads() == 1


STEPS = """
import resource, sys
import torch
from linnaea.runtime.machine import prepare_processor
prepare_processor()
pixels = torch.ones(16, 32, 112, 112)
for _ in range(10):
    pixels = pixels * 1.5
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(60):
    pixels = pixels * 1.5
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_is_not_asked_for_again_in_each_step():
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    faults = [
        int(subprocess.run([sys.executable, "-c", STEPS], env=plain | more, capture_output=True, check=True).stdout)
        for more in ({}, {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"})
    ]
    assert 4 * faults[0] < faults[1]  # each step fills 25 MB, which are 6,272 pages


def test_an_allocator_that_was_set_up_by_hand_is_left_alone():
    for name in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"):
        assert not keep_freed_memory({name: "1"})
        assert not give_back_freed_memory({name: "1"})


FREED = """
import sys
from pathlib import Path
import numpy as np
from linnaea.runtime.allocation import give_back_freed_memory
if sys.argv[1] == "given back":
    assert give_back_freed_memory({})
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) // 256
del (first := [np.ones(30 * 2**20, dtype=np.uint8)])[:]  # from which the library learns
before = resident()
large, small = [], []
for _ in range(8):
    large.append(np.ones(16 * 2**20, dtype=np.uint8))
    small.append(bytearray(100_000))  # lies between them
large.clear()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_of_large_blocks_is_given_back_where_that_is_asked_for():
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    kept = [
        int(subprocess.run([sys.executable, "-c", FREED, how], env=plain, capture_output=True, check=True).stdout)
        for how in ("given back", "usual")
    ]
    assert kept[0] < 10  # MiB, of 128
    assert kept[1] > 50
