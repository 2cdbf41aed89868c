"""A callback that makes any `transformers.Trainer` hold a permit.

Promises: asks before the first step and renews before every other; when the permit ends, the
trainer's folder is marked as sealed and the training ends with the permit's error, which no
setting of the trainer swallows. Does not make a trainer's run forgettable: shards do that
(`sayso.training.train`).

Example:
    >>> permit = Permit.ask(workspace, Path("first"))                   # doctest: +SKIP
    >>> rows = load_dataset("first").filter(                            # doctest: +SKIP
    ...     lambda row: row["tag"] not in permit.left_out)
    >>> Trainer(model, arguments, callbacks=[SaysoCallback(permit)])    # doctest: +SKIP
"""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from sayso.training.permit import Permit, StoppedError
from sayso.training.sealing import seal_folder


class SaysoCallback(TrainerCallback):  # type: ignore[misc]  # untyped where the extra is missing
    """Renews a permit before every step of a `transformers.Trainer`."""

    def __init__(self, permit: Permit) -> None:
        self.permit = permit

    def on_train_begin(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
        """Look at the rulebook before the first step."""
        del control
        self._renew(args, state, look=True)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
        """Renew before a step."""
        del control
        self._renew(args, state, look=False)

    def _renew(self, args: Any, state: Any, *, look: bool) -> None:
        self.permit.step = int(state.global_step)
        try:
            if look:
                self.permit.look()
            else:
                self.permit.renew(int(state.global_step))
        except StoppedError as stopped:
            seal_folder(self.permit, Path(args.output_dir), stopped, where="")
            raise
