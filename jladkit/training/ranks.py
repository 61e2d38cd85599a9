"""Several processes that train one model, as torchrun starts them.

Every process draws the whole batch of a step from (seed, step) and computes its own rows of it. The
gradients are summed, so that all take the step that one process would have taken. The first process
alone writes, validates and talks; the others wait for it.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from jladkit.errors import JladkitError, UsageError

PATIENCE = timedelta(hours=6)  # while the first computes maps or validates, the others wait


@contextlib.contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the processes that torchrun started with this one, if it did; leave them at the end.

    Args:
        device: by name, as --device gives it.

    Yields:
        The name of this process's own device: of several GPUs each takes one.

    Raises:
        JladkitError: the others cannot be found.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    with together():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Something that all processes do at the same time.

    Raises:
        JladkitError: one of them is gone.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        said = str(error).strip().partition("\n")[0].partition(" This ")[0]
        raise JladkitError(
            "Another process of this training is gone, so this one ends too; the other's own message "
            f"says why. --resume goes on from the last checkpoint. ({said})"
        ) from error


def count() -> int:
    """How many processes there are; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def first() -> bool:
    """Whether this process is the one that writes."""
    return count() == 1 or dist.get_rank() == 0


def first_here() -> bool:
    """Whether this process is the first of its machine."""
    return count() == 1 or os.environ.get("LOCAL_RANK", str(dist.get_rank())) == "0"


def check(method: str, batch: int | None) -> None:
    """Raise UsageError where there are several processes and they cannot share the work.

    Args:
        method: its name.
        batch: rows of a step; None of a method that does not split them.
    """
    if count() > 1 and batch is None:
        raise UsageError(
            f"The method {method} is trained in one process; its loss has not been split among "
            "several. Leave torchrun out."
        )
    share(batch or 1)


def share(batch: int) -> slice:
    """Which rows of a batch are this process's. Shares differ by one where they cannot be even.

    Raises:
        UsageError: there are fewer rows than processes.
    """
    if count() == 1:
        return slice(0, batch)
    if batch < count():
        raise UsageError(
            f"train.batch must be at least the number of processes, {count()}, but is {batch}."
        )
    rank = dist.get_rank()
    return slice(rank * batch // count(), (rank + 1) * batch // count())


def weight(batch: int) -> float:
    """This process's rows as a share of the batch."""
    own = share(batch)
    return (own.stop - own.start) / batch


def summed(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, which each of them gets."""
    if count() > 1:
        value = value.detach().clone()
        with together():
            dist.all_reduce(value)
    return value


def deviation(values: Tensor) -> Tensor:
    """The standard deviation of the values of all processes."""
    if count() == 1:
        return values.std()
    number = summed(values.new_tensor(values.numel()))
    mean = summed(values.sum()) / number
    return (summed((values - mean).square().sum()) / (number - 1)).sqrt()


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the sum of all processes' gradients."""
    if count() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    whole = summed(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    parts = whole.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def mean_terms(terms: dict[str, Tensor], batch: int) -> dict[str, float]:
    """The terms of a loss as numbers, of the whole batch."""
    if count() == 1:
        return {name: float(term.detach()) for name, term in terms.items()}
    own = torch.stack([term.detach().double() for term in terms.values()])
    return dict(zip(terms, summed(own * weight(batch)).tolist(), strict=True))


def highest(number: int) -> int:
    """The highest of the processes' numbers."""
    if count() == 1:
        return number
    value = torch.tensor(number, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    with together():
        dist.all_reduce(value, dist.ReduceOp.MAX)
    return int(value)


def wait() -> None:
    """Wait until all processes are here."""
    highest(0)


def as_first(net: nn.Module) -> None:
    """Give every process the first one's weights."""
    if count() > 1:
        for tensor in net.state_dict().values():
            whole = tensor.contiguous()
            with together():
                dist.broadcast(whole, 0)
            tensor.copy_(whole)
