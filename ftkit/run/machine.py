"""What this machine is and has: versions, device, memory, disk. For manifests and `ftkit doctor`.

Asks the system, changes nothing; loads torch only to ask it.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from ftkit.contracts import Machine

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "accelerate",
    "datasets",
    "evaluate",
    "tokenizers",
    "safetensors",
    "polars",
    "numpy",
    "scipy",
    "scikit-learn",
    "ftfy",
)
GIB = 2**30


def environment(machine: Machine) -> dict[str, Any]:
    """What decides whether two runs give the same bytes: versions, processor, threads, the machine block."""
    import torch

    return {
        "ftkit": version("ftkit"),
        "python": platform.python_version(),
        "processor": platform.machine(),
        "threads": torch.get_num_threads() if machine.threads == "auto" else machine.threads,
        "machine": machine.model_dump(mode="json"),
        "packages": {name: version(name) for name in PACKAGES},
    }


def version(package: str) -> str | None:
    """Version of an installed package, None where it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def memory_gib() -> float:
    """Physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB


def free_disk_gib(path: Path) -> float:
    """Free space on the disk that holds `path`, or its nearest existing parent."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free / GIB


def devices() -> list[dict[str, Any]]:
    """Every accelerator torch sees: name, memory in GiB, whether it computes in bfloat16."""
    import torch

    devices = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(
            {
                "device": f"cuda:{index}",
                "name": properties.name,
                "memory_gib": properties.total_memory / GIB,
                "bfloat16": torch.cuda.is_bf16_supported(),
            }
        )
    if torch.backends.mps.is_available():
        devices.append({"device": "mps", "name": "Apple GPU", "memory_gib": memory_gib(), "bfloat16": False})
    return devices


def diagnosis(folder: Path) -> dict[str, Any]:
    """What `ftkit doctor` prints."""
    return {
        "ftkit": version("ftkit"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "memory_gib": round(memory_gib(), 1),
        "free_disk_gib": round(free_disk_gib(folder), 1),
        "devices": devices(),
        **{name: version(name) or "missing" for name in PACKAGES},
    }
