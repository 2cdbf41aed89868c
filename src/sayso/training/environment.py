"""The environment of a training: what equal bytes are promised under.

Promises: one flat table of names and values that decide which bits arithmetic gives on this
machine; two runs with the same table, base, records and recipe give the same bytes. Nothing
is promised across tables: the same code gives other bits on other processors.

The only place of this room that asks the machine, and that imports PyTorch's switches.
"""

import hashlib
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sayso.canonical import canonical_json
from sayso.errors import UnavailableError

PACKAGES = ("torch", "transformers", "peft", "tokenizers", "safetensors")
# Both change which kernels run. Source: PyTorch, "Set CPU capability"; oneMKL, CNR.
SWITCHES = ("ATEN_CPU_CAPABILITY", "MKL_CBWR")
# One setting for all: PyTorch does not promise the same bits for two numbers of threads.
THREADS = 1
_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


def need_torch() -> Any:
    """Return PyTorch.

    Raises:
        UnavailableError: The extra `train` is not installed.
    """
    try:
        import peft  # noqa: F401, PLC0415
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(
            f"the package '{error.name}' is not installed", hint="install sayso[train]"
        ) from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch


def prepare_torch(device: str | None = None) -> str:
    """Set PyTorch to give the same bits each time; return the device: a GPU where there is one.

    Raises:
        UnavailableError: The extra `train` is not installed.
    """
    # Read when CUDA starts; later would be silently too late.
    os.environ.setdefault(_CUBLAS, ":4096:8")
    torch = need_torch()
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def fingerprint(device: str) -> dict[str, str]:
    """Return the table for one device, `cpu` or `cuda`."""
    torch = need_torch()
    table = {name: version(name) for name in PACKAGES}
    table |= {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "device": device,
    }
    table |= {name.lower(): os.environ[name] for name in SWITCHES if os.environ.get(name)}
    if device == "cuda":
        table["device"] = torch.cuda.get_device_name()
        table["cuda"] = str(torch.version.cuda)
        table["cublas"] = os.environ[_CUBLAS]
    return table


def digest_of(table: Mapping[str, str]) -> str:
    """Return the digest (hex) of a fingerprint."""
    return hashlib.sha256(canonical_json(dict(table))).hexdigest()


def _processor() -> str:
    """Return the processor's model where the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
