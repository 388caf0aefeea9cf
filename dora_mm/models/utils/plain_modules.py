from torch import nn


def has_hooks(module: nn.Module) -> bool:
    """Whether calling a module does more than its class says.

    Args:
        module (nn.Module): Any.

    Returns:
        bool: Whether a forward or backward hook of it would run, or
        somebody has put another ``forward`` in its place, as those do who
        want to see attention maps.
    """
    return 'forward' in module.__dict__ or bool(
        module._forward_hooks or module._forward_pre_hooks
        or module._backward_hooks or module._backward_pre_hooks)


def is_plain(module: nn.Module, kind: type) -> bool:
    """Whether the weights of a module may be used without calling it.

    Args:
        module (nn.Module): What the stock model calls there. Users replace
            it (LoRA, quantised or parametrised layers) and hook it.
        kind (type): The stock class.

    Returns:
        bool: Whether it is of that class, no subclass, and has no hooks.
    """
    return type(module) is kind and not has_hooks(module)
