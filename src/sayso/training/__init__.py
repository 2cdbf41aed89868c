"""Training that stops when told to and forgets when asked.

Promises: `train` gives one adapter for each shard, `release` a base plus the exact mean of
those that may be served, `forget` the bytes of never having had a member; `SaysoCallback`
and `permitted` bring the stop to anybody's `Trainer` or loop. The core imports this room without
PyTorch; what needs it says "install sayso[train]". Does not decide.

Example:
    >>> run = train(workspace, Order(Path("first"), Path("run")))      # doctest: +SKIP
    >>> release(workspace, run.path, Path("releases"))                 # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from sayso.errors import UnavailableError
from sayso.training.dispositions import Disposition
from sayso.training.follow import FollowedRun, Outcome, follow, training_entries
from sayso.training.forget import Forgotten, forget
from sayso.training.forget import Request as ForgetRequest
from sayso.training.permit import Permit, StoppedError
from sayso.training.plan import Cost, Plan, plan, plot
from sayso.training.release import Release, Released, check_served, open_release, release
from sayso.training.run import Order, Told, Trained, train
from sayso.training.runs import Recipe, Run, load_run
from sayso.training.sealing import permitted
from sayso.training.servable import Standing, standing_of

if TYPE_CHECKING:
    from sayso.training.callback import SaysoCallback

__all__ = [
    "Cost",
    "Disposition",
    "FollowedRun",
    "ForgetRequest",
    "Forgotten",
    "Order",
    "Outcome",
    "Permit",
    "Plan",
    "Recipe",
    "Release",
    "Released",
    "Run",
    "SaysoCallback",
    "Standing",
    "StoppedError",
    "Told",
    "Trained",
    "check_served",
    "follow",
    "forget",
    "load_run",
    "open_release",
    "permitted",
    "plan",
    "plot",
    "release",
    "standing_of",
    "train",
    "training_entries",
]


def __getattr__(name: str) -> Any:
    if name != "SaysoCallback":
        raise AttributeError(f"module 'sayso.training' has no attribute '{name}'")
    try:
        from sayso.training.callback import SaysoCallback as found  # noqa: N813, PLC0415
    except ImportError:
        raise UnavailableError(
            "the package 'transformers' is not installed", hint="install sayso[train]"
        ) from None
    return found
