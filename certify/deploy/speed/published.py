"""Published throughput of 2:4 networks (images/s), to set beside a measurement: which ratio survives, and why.

Source: the speed tables released with arXiv:2606.02608 (A40 and A100-80GB PCIe, PyTorch 2.4.1, CUTLASS kernels, with 8
tokens merged per block for transformers). `autocast` is the dense fp32 network under bf16 autocast, `bf16` the dense
network cast to bf16. The published headline is 2:4 / autocast; a ratio of like with like is 2:4 / bf16.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Images per second of one network on one GPU at one batch size; `merge` tokens merged per block."""

    model: str
    gpu: str
    merge: int
    batch: int
    autocast: float
    bf16: float
    sparse: float

    @property
    def to_autocast(self) -> float:
        """The ratio that was published as the speed-up."""
        return self.sparse / self.autocast

    @property
    def to_bf16(self) -> float:
        """The same measurement against the dense network in the same arithmetic."""
        return self.sparse / self.bf16


TRANSFORMERS: tuple[Published, ...] = (
    Published("vit_base_patch16_224", "A40", 8, 64, 1191.8, 1602.8, 1654.5),
    Published("vit_base_patch16_224", "A40", 8, 128, 1246.9, 1657.5, 1695.8),
    Published("vit_base_patch16_224", "A40", 8, 256, 1277.9, 1709.7, 1679.5),
    Published("vit_large_patch16_224", "A40", 8, 64, 620.8, 816.6, 865.6),
    Published("vit_large_patch16_224", "A40", 8, 128, 658.3, 858.4, 897.2),
    Published("vit_large_patch16_224", "A40", 8, 256, 674.4, 875.3, 887.0),
    Published("deit_base_patch16_224", "A40", 8, 64, 1189.6, 1590.4, 1646.7),
    Published("deit_base_patch16_224", "A40", 8, 128, 1238.8, 1650.4, 1689.3),
    Published("deit_base_patch16_224", "A40", 8, 256, 1272.4, 1701.5, 1672.8),
    Published("deit_small_patch16_224", "A40", 8, 64, 2532.8, 3464.9, 3446.2),
    Published("deit_small_patch16_224", "A40", 8, 128, 2708.6, 3734.6, 3715.6),
    Published("deit_small_patch16_224", "A40", 8, 256, 2809.2, 3903.3, 3831.2),
    Published("deit_tiny_patch16_224", "A40", 8, 64, 4056.7, 4802.7, 3962.3),
    Published("deit_tiny_patch16_224", "A40", 8, 128, 5158.4, 7035.1, 6859.4),
    Published("deit_tiny_patch16_224", "A40", 8, 256, 5529.2, 7636.1, 7281.2),
    Published("convnextv2_base", "A40", 0, 64, 499.3, 797.5, 646.5),
    Published("convnextv2_base", "A40", 0, 128, 512.1, 817.9, 643.5),
    Published("convnextv2_base", "A40", 0, 256, 517.2, 826.0, 641.9),
    Published("vit_base_patch16_224", "A100", 8, 64, 2199.4, 2692.9, 2282.9),
    Published("vit_base_patch16_224", "A100", 8, 128, 2385.2, 2876.1, 2660.8),
    Published("vit_base_patch16_224", "A100", 8, 256, 2403.3, 2991.9, 2834.2),
    Published("vit_large_patch16_224", "A100", 8, 64, 1163.2, 1408.4, 1434.4),
    Published("vit_large_patch16_224", "A100", 8, 128, 1266.0, 1500.6, 1525.0),
    Published("vit_large_patch16_224", "A100", 8, 256, 1333.7, 1576.7, 1548.7),
    Published("deit_base_patch16_224", "A100", 8, 128, 2376.0, 2853.0, 2808.0),
    Published("deit_small_patch16_224", "A100", 8, 128, 4724.0, 5340.0, 5599.0),
    Published("deit_tiny_patch16_224", "A100", 8, 128, 6603.0, 7751.0, 6289.0),
    Published("convnextv2_base", "A100", 0, 128, 1022.3, 1529.1, 1115.3),
)


@dataclass(frozen=True)
class PublishedConv:
    """Images per second of a ResNet at batch 128: cuDNN, dense im2col, 2:4 im2col."""

    model: str
    gpu: str
    cudnn: float
    im2col: float
    sparse: float

    @property
    def to_im2col(self) -> float:
        """The ratio that was published as the speed-up."""
        return self.sparse / self.im2col

    @property
    def to_cudnn(self) -> float:
        """The same measurement against the convolution everybody runs."""
        return self.sparse / self.cudnn


CONVOLUTIONAL: tuple[PublishedConv, ...] = (
    PublishedConv("resnet50", "A40", 1824.4, 469.5, 797.9),
    PublishedConv("resnet50d", "A40", 1790.0, 445.2, 666.2),
    PublishedConv("resnet101d", "A40", 937.9, 228.2, 357.8),
    PublishedConv("resnet152d", "A40", 670.4, 159.9, 258.7),
    PublishedConv("resnet50", "A100", 2920.6, 836.3, 954.7),
    PublishedConv("resnet50d", "A100", 2889.1, 764.9, 831.1),
    PublishedConv("resnet101d", "A100", 1458.1, 383.9, 426.0),
    PublishedConv("resnet152d", "A100", 1120.9, 271.5, 302.4),
)
