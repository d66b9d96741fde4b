"""What a network costs: parameters, and multiply-accumulates by the paper's rule."""

from __future__ import annotations

import inspect

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_macs(model: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of one forward pass on one square RGB image, by the paper's rule.

    The paper's "GFLOPs" are what fvcore's `FlopCountAnalysis` counts of a model in training mode:
    one for each multiply-accumulate of convolutions, linear layers and matrix products, 5 for each
    element that is normalised (4 without scale and shift), 1 for each element that is pooled
    adaptively, nothing for biases, activations, sums and other pooling. Other tools count
    normalised elements differently, and none gives all five of the paper's figures (10^9, 224
    pixels):

        network             paper  here    torch/2  fvcore, eval  thop    ptflops
        MobileNetV3-Large   0.24   0.2392  0.2166   0.2260        0.2348  0.2313
        AlexNet             0.71   0.7142  0.7142   0.7142        0.7142  0.7164
        GoogLeNet           1.51   1.5146  1.4984   1.5049        1.5113  1.5139
        ResNet-18           1.83   1.8265  1.8141   1.8191        1.8240  1.8253
        ResNet-50           4.14   4.1449  4.0892   4.1115        4.1337  4.1324

    torch's own counter has two operations for each multiply-accumulate and nothing else; a
    normalised element is 2 in fvcore in evaluation mode and in ptflops (which adds activations,
    pooling and biases), and 4 in thop.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    # The counter follows what requires a gradient, and stumbles over views of parameters.
    learned = [values for values in model.parameters() if values.requires_grad]
    for values in learned:
        values.requires_grad_(False)
    elements, products = _ElementCounter(), _ProductCounter()
    # The counter does not know the fused attention of every device; this one is matrix products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), elements, products:
        model(torch.zeros(1, 3, image_size, image_size, device=device))
    model.train(was_training)
    for values in learned:
        values.requires_grad_(True)
    return products.total + elements.total


class _ElementCounter(TorchFunctionMode):
    """Counts what `count_macs` counts by element."""

    NORMALISATIONS = (F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm)

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in self.NORMALISATIONS:
            self.total += args[0].numel() * (4 if kwargs.get("weight") is None else 5)
        elif function is F.adaptive_avg_pool2d:
            self.total += args[0].numel()
        return function(*args, **kwargs)


class _ProductCounter(TorchDispatchMode):
    """Counts multiply-accumulates of convolutions and matrix products by PyTorch's formulas."""

    def __init__(self):
        from torch.utils.flop_counter import flop_registry

        super().__init__()
        self.total, self._formulas = 0, flop_registry

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        formula = self._formulas.get(function._overloadpacket)
        if formula is None:
            # It may consist of what has one.
            with self:
                result = function.decompose(*args, **kwargs)
            return function(*args, **kwargs) if result is NotImplemented else result
        result = function(*args, **kwargs)
        # Two operations for each multiply-accumulate.
        self.total += formula(*args, **kwargs, out_val=result) // 2
        return result


# PyTorch's own counter, and any such mode, is prepared for `torch.compile` on its first call, which
# imports the compiler: a second, in trainings of seconds.
_ProductCounter.__torch_dispatch__ = inspect.unwrap(_ProductCounter.__torch_dispatch__)
