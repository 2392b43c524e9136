"""One process of a data-parallel fit: started by torchrun, or alone. Writes the weights of the first process."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

from test_loop import INDICES, Stripes

from certify.records.recipe import RecoveryRecipe
from certify.training import fit


def network():
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(36, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 2)]
    return nn.Sequential(*layers)


def masks():
    generator = torch.Generator().manual_seed(1)
    return {"1.weight": torch.rand(16, 36, generator=generator) < 0.5}


if __name__ == "__main__":
    out, opt, decay = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    torch.set_num_threads(1)
    parallel = "RANK" in __import__("os").environ
    if parallel:
        dist.init_process_group("gloo")
    settings = RecoveryRecipe(epochs=6, batch_size=13, learning_rate=0.01, opt=opt, model_ema_decay=decay)
    state = out.with_suffix(".state")
    model = fit(network(), Stripes(), INDICES, settings, seed=2, state=state, teacher=network(), masks=masks())
    if not parallel or dist.get_rank() == 0:
        save_file(model.state_dict(), out)
    if parallel:
        dist.destroy_process_group()
