"""One process of data-parallel fits: started by torchrun, or alone. The first process writes the weights it ends with.

python parallel_fit.py OUT OPT DECAY writes OUT, a whole fit; OUT.resumed, the same after a kill; and OUT.refused.RANK, what each
process says of calls that it must refuse.
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

from test_loop import INDICES, Killed, Stripes, killed_after

from certify.records import Refused
from certify.records.recipe import RecoveryRecipe
from certify.training import fit, loop


def network(seed=0):
    """The last layer is not reached: no gradient, and so no decay."""

    class Network(nn.Sequential):
        def forward(self, x):
            for layer in list(self)[:-1]:
                x = layer(x)
            return x

    torch.manual_seed(seed)
    return Network(nn.Flatten(), nn.Linear(36, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 2), nn.Linear(2, 2))


def masks():
    generator = torch.Generator().manual_seed(1)
    return {"1.weight": torch.rand(16, 36, generator=generator) < 0.5}


def main(out, opt, decay):
    rank = dist.get_rank() if dist.is_initialized() else 0
    state = out.with_suffix(".state")
    loop.SAVE_STEPS = 8  # four steps an epoch: saved after epochs 2, 4 and 6

    def go(model, state=None, progress=None, batch_size=13):
        settings = RecoveryRecipe(epochs=6, batch_size=batch_size, learning_rate=0.01, opt=opt, model_ema_decay=decay)
        options = {"teacher": network(), "masks": masks(), "progress": progress}
        return fit(model, Stripes(), INDICES, settings, seed=2, state=state, **options).state_dict()

    def keep(weights, end):
        if rank == 0:
            save_file(weights, out.with_name(out.name + end))

    keep(go(network()), "")
    try:
        go(network(), state, killed_after(5))
    except Killed:
        done = []
        keep(go(network(), state, lambda epoch, *_: done.append(epoch)), ".resumed")
        assert done == [5, 6], done
    if dist.is_initialized():
        told = []
        elsewhere = state if rank == 0 else state.with_name("nowhere")
        for seed, file, size in ((0, None, 1), (rank, None, 13), (0, elsewhere, 13)):
            try:
                go(network(seed), file, batch_size=size)
            except Refused as error:
                told.append(str(error))
        out.with_name(f"{out.name}.refused.{rank}").write_text("\n".join(told))


if __name__ == "__main__":
    torch.set_num_threads(1)
    parallel = "RANK" in os.environ
    if parallel:
        dist.init_process_group("gloo")
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
    if parallel:
        dist.barrier()
        dist.destroy_process_group()
        sys.stdout.flush()
        os._exit(0)  # threads of the group may abort an interpreter that takes its time to end
