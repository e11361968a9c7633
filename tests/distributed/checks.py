"""Checks that run on every rank of one launch; see test_processes.py.

    torchrun --nproc-per-node R -m tests.distributed.checks FOLDER

Each writes what it found to FOLDER/rank.json: check to "" or what went wrong. The oracle is one
process with everything: our queue and loss on the whole batch, which every rank also has.
"""

import copy
import json
import sys
import traceback
from datetime import timedelta
from itertools import chain, product
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from tests.distributed import model_checks
from tests.distributed.tools import (
    LOSSES,
    close,
    embed,
    equal,
    kinds,
    linear,
    rank,
    ranks,
    refused,
    same_queue,
    splits,
    whole_batch,
)
from xbmlib import distributed
from xbmlib.distributed import DistributedError, ShardedMemory, backward, gather, memory_loss
from xbmlib.distributed.norm import all_sum
from xbmlib.losses import candidates
from xbmlib.queue import CrossBatchMemory


def check_gather():
    """Values, and the gradient of a function of all rows: one process's slice."""
    for seed, m in enumerate([1, 2, 5, 6, 11, 12]):
        x, labels, ids = whole_batch(m, seed)
        mine = splits(m, seed)[rank()]
        z, local = x.clone().requires_grad_(), x[mine].clone().requires_grad_()
        batch = gather(local, labels[mine], ids[mine])
        equal(batch.embeddings, x)
        equal(batch.labels, labels)
        equal(batch.ids, ids)
        assert batch.share == mine
        (z @ z.T).exp().sum().backward()
        (batch.embeddings @ batch.embeddings.T).exp().sum().backward()
        close(local.grad, z.grad[mine])
        assert gather(local, labels[mine]).ids is None
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        x = whole_batch(5, 9, dtype=dtype)[0]
        equal(gather(x[splits(5, 9)[rank()]], torch.zeros(5)[splits(5, 9)[rank()]].long())[0], x)


def streams(loss, sharded, size, sizes, resume):
    """Batches of these sizes through a linear model in float64: everything equal to one process."""
    single, kind = CrossBatchMemory(size, 5, dtype=torch.float64), kinds[sharded]
    memory = kind(size, 5, dtype=torch.float64)
    model, oracle = linear(), linear()
    for step, m in enumerate(sizes):
        x, labels, ids = whole_batch(m, 100 * size + step)
        if step == resume:
            state = copy.deepcopy(memory.state_dict())
            memory = kind(size, 5, dtype=torch.float64)
            memory.load_state_dict(state)
        mine = splits(m, step + size)[rank()]
        batch = gather(embed(model, x[mine]), labels[mine], ids[mine])
        own = memory.enqueue(batch.embeddings, batch.labels, batch.ids)
        found = memory_loss(loss, batch, memory, own)
        valid = loss.valid
        model.zero_grad()
        backward(loss(batch.embeddings, batch.labels) + 0.7 * found, model)

        v = embed(oracle, x)
        slots = single.enqueue(v, labels, ids)
        wanted = loss(v, labels, single.embeddings, single.labels, own=slots)
        equal(own, slots)
        equal(valid.negatives, loss.valid.negatives)
        equal(valid.positives, loss.valid.positives)
        oracle.zero_grad()
        (loss(v, labels) + 0.7 * wanted).backward()
        close(found.detach(), wanted.detach())
        close(model.weight.grad, oracle.weight.grad)
        close(model.bias.grad, oracle.bias.grad)
        if sharded:
            same_queue(memory, single)
        with torch.no_grad():
            for net in (model, oracle):
                net.weight -= 0.05 * oracle.weight.grad


def check_streams():
    """Losses x memories x sizes: below the batch, no multiple, wrapping, resumed, never full."""
    for loss, sharded in product(LOSSES, (False, True)):
        for size in (3, 17, 99):
            streams(loss, sharded, size, [6, 5, 1, 13, 7], resume=size % 5)


def check_float32():
    """Single precision, and bfloat16 entries or their shadow: one process's with the same."""
    for loss, sharded in product(LOSSES[1::2], (False, True)):
        for how in ({}, {"shadow": True}, {"dtype": torch.bfloat16}):
            memory, single = kinds[sharded](20, 7, **how), CrossBatchMemory(20, 7, **how)
            for step, m in enumerate([9, 30, 4]):
                x, labels, _ = whole_batch(m, step)
                v, mine = F.normalize(x).float(), splits(m, step)[rank()]
                z, local = v.clone().requires_grad_(), v[mine].clone().requires_grad_()
                batch = gather(local, labels[mine])
                own = memory.enqueue(*batch[:2])
                found = memory_loss(loss, batch, memory, own)
                slots, shadow = single.enqueue(v, labels), single.shadow
                wanted = loss(z, labels, single.embeddings, single.labels, own=slots, shadow=shadow)
                close(found.detach(), wanted.detach(), 1e-5)
                found.backward()
                wanted.backward()
                close(local.grad, z.grad[mine], 1e-5)


def check_blocks():
    """Anchors that have to be split in blocks, which all ranks have to do alike."""
    kept = candidates.BLOCK_LIMIT
    try:
        for candidates.BLOCK_LIMIT in (1, 60, 200):
            for loss in LOSSES[1::2]:
                streams(loss, True, 23, [6, 1, 17], resume=2)
    finally:
        candidates.BLOCK_LIMIT = kept


def check_order_of_displacement():
    """Any batches, more than M among them: the slots by counting, in a list of the last M."""
    generator = torch.Generator().manual_seed(0)
    for size in (3, 4, 5, 7, 12):
        memory, held, seen = ShardedMemory(size, 1), [], 0
        for m in torch.randint(0, 3 * size, (12,), generator=generator).tolist():
            ids = torch.arange(seen, seen + m)
            memory.enqueue(ids[:, None].float(), ids % 3, ids)
            seen += m
            held = [*held, *ids.tolist()][-size:]
            everyone = [None] * ranks()
            dist.all_gather_object(everyone, memory.shard.ids.tolist())
            assert sorted(chain.from_iterable(everyone)) == held
            # The oldest has age len - 1, the newest 0.
            assert memory.age.tolist() == [seen - 1 - i for i in memory.shard.ids.tolist()]
        memory.reset()
        assert len(memory) == len(memory.shard) == memory.pointer == 0


def check_resharding():
    """A gathered state is the single queue's, and goes on at any number of ranks."""
    few = dist.new_group([0, 1])
    for count in (0, 4, 11, 30):
        memory, single = ShardedMemory(11, 5), CrossBatchMemory(11, 5)
        x, labels, ids = whole_batch(count, count, 5, torch.float32)
        for queue in (memory, single):
            queue.enqueue(x, labels, ids)
        (state,) = box = [memory.gathered_state()]
        if rank() == 0:
            wanted = single.state_dict()
            assert state.keys() == wanted.keys()
            for name, value in wanted.items():
                # What was never written is no part of the queue.
                part = (slice(len(single)),) if value.ndim else ()
                equal(state[name][part], value[part])
            alone = CrossBatchMemory(11, 5)
            alone.load_state_dict(state)
            equal(alone.age, single.age)
        else:
            assert state == {}
        dist.broadcast_object_list(box)
        for group in (None, few) if rank() < 2 else (None,):
            other = ShardedMemory(11, 5, group=group)
            other.load_gathered_state(box[0])
            more, again = copy.deepcopy(single), whole_batch(9, 99, 5, torch.float32)
            for queue in (other, more):
                equal(queue.enqueue(*again), copy.deepcopy(single).enqueue(*again))
            equal(other.shard.embeddings, more.embeddings[other.slots])
            equal(other.shard.ids, more.ids[other.slots])
            equal(other.age, more.age[other.slots])
        refused(ValueError, "memory of (11, 5)", ShardedMemory(12, 5).load_gathered_state, box[0])


def check_one_error_on_all_ranks():
    """What does not fit together is reported on every rank, and the next call works."""
    r, ones = rank(), torch.ones(2, dtype=torch.int64)
    v = torch.zeros(2, 3)
    refused(DistributedError, "D of the embeddings: 3 on rank 0, 4 on rank 1",
            gather, torch.zeros(2, 3 + (r > 0)), ones)  # fmt: skip
    odd = v.double() if r == 1 else v
    refused(DistributedError, "torch.float32 on rank 0, torch.float64 on rank 1", gather, odd, ones)
    refused(DistributedError, "ids given (1) or not (0)", gather, v, ones, ones if r else None)
    if r == 1:
        refused(ValueError, "labels of shape (1,)", gather, v, ones[:1])
    else:
        refused(DistributedError, "rank 1 was given a batch that cannot be", gather, v, ones)
    refused(DistributedError, "size of the memory", ShardedMemory, 9 + (r == 1), 4)
    refused(DistributedError, "dim of the memory", ShardedMemory, 9, 4 + (r == 1))
    dtype = torch.bfloat16 if r == 1 else torch.float32
    refused(DistributedError, "dtype of the memory", ShardedMemory, 9, 4, dtype=dtype)
    refused(ValueError, f"over {ranks()} ranks", ShardedMemory, ranks() - 1, 4)
    state = ShardedMemory(9, 4).state_dict()
    state["_extra_state"][2] += 1
    refused(DistributedError, "gathered_state()", ShardedMemory(9, 4).load_state_dict, state)
    models = nn.Linear(3, 2), nn.Linear(3, 2, bias=False)
    z = models[r == 1](v).sum()
    refused(DistributedError, "parameters that need a gradient", backward, z, models[r == 1])
    memory = ShardedMemory(9, 4)
    refused(ValueError, "this memory takes (B, 4)", memory.enqueue, v, ones)
    equal(gather(v, ones).labels, torch.ones(2 * ranks(), dtype=torch.int64))


def check_integers_of_any_width():
    """uint8 and bool labels and slots in int16: the same call with int64, to the last bit."""
    x, labels, ids = whole_batch(9, 4)
    mine = splits(9, 4)[rank()]
    for dtype, sharded in product((torch.uint8, torch.bool), (False, True)):
        found = []
        for kind in (dtype, torch.int64):
            z = F.normalize(x[mine]).requires_grad_()
            batch = gather(z, (labels > 0)[mine].to(kind), ids[mine])
            memory = kinds[sharded](20, 7, dtype=torch.float64)
            own = memory.enqueue(*batch[:3]).to(torch.int16 if kind == dtype else kind)
            value = memory_loss(LOSSES[2], batch, memory, own)
            value.backward()
            found.append((value.detach(), z.grad))
            refused(ValueError, "own of torch.float32", memory_loss, LOSSES[2], batch, memory,
                    own.float())  # fmt: skip
            refused(ValueError, "own from 0 to 20", memory_loss, LOSSES[2], batch, memory,
                    own.long() + (own == 8) * 12)  # fmt: skip
        for got, wanted in zip(*found, strict=True):
            equal(got, wanted)
    assert len(ShardedMemory(NumpyTwelve(), 3).shard) == 0


class NumpyTwelve:
    """A number that is an integer by ``__index__`` alone, as NumPy's are."""

    def __index__(self):
        return 12


def check_half_precision():
    """A loss scaled by 65,536 in float16: the float64 gradient times it, rounded once."""
    x, labels, _ = whole_batch(9, 4)
    mine, v = splits(9, 4)[rank()], F.normalize(x).half()
    for sharded in (False, True):
        local, z = v[mine].clone().requires_grad_(), v.double().requires_grad_()
        batch = gather(local, labels[mine])
        memory = kinds[sharded](20, 7, dtype=torch.float16)
        own, mean = memory.enqueue(*batch[:2]), LOSSES[1]
        (memory_loss(mean, batch, memory, own) * 65536).backward()
        mean(z, labels, v.double(), labels, own=torch.arange(9)).backward()
        wanted = 65536 * z.grad[mine]
        assert (wanted.abs() < 65504).all() and local.grad.isfinite().all()
        torch.testing.assert_close(local.grad.double(), wanted, rtol=2**-10, atol=1.0)


def check_second_derivatives():
    """Through a sum over ranks by a closed formula; through a gathered batch, refused."""
    x = torch.full((), 1.0 + rank(), dtype=torch.float64, requires_grad=True)
    n, total = ranks(), sum(range(1, ranks() + 1))
    (first,) = torch.autograd.grad(all_sum(x, None) ** 3, x, create_graph=True)
    # Each rank's loss is y^3 of the sum y: together n y^3.
    close(first.detach(), torch.tensor(3.0 * n * total**2, dtype=torch.float64))
    (second,) = torch.autograd.grad(first**2, x)
    wanted = n * 2 * (3 * n * total**2) * (6 * n * total)
    close(second, torch.tensor(float(wanted), dtype=torch.float64))
    z = whole_batch(4, 1)[0].requires_grad_()
    value = gather(z, torch.zeros(4, dtype=torch.int64)).embeddings.square().sum()
    message = "second derivatives are not supported: the gradient of a global batch"
    refused(RuntimeError, message, torch.autograd.grad, value, z, create_graph=True)


def check_a_refused_state_changes_nothing():
    """The queue before and after a state of another size, D, or without a part."""
    memory, (x, labels, ids) = ShardedMemory(9, 7), whole_batch(5, 1, dtype=torch.float32)
    memory.enqueue(x, labels, ids)
    before = copy.deepcopy(memory.state_dict())
    for size, dim in ((9, 6), (9 + ranks(), 7)):
        other = ShardedMemory(size, dim)
        other.enqueue(*whole_batch(30, 2, dim, torch.float32))
        bad, kind = other.state_dict(), RuntimeError if size == 9 else DistributedError
        refused(kind, "features" if size == 9 else f"size={size}", memory.load_state_dict, bad)
        gathered = [other.gathered_state()]
        dist.broadcast_object_list(gathered)
        refused(ValueError, "features", memory.load_gathered_state, gathered[0])
        del gathered[0]["classes"]
        refused(ValueError, "memory", memory.load_gathered_state, gathered[0])
    lacking = {name: value for name, value in before.items() if "classes" not in name}
    refused(RuntimeError, "without shard.classes", memory.load_state_dict, lacking)
    refused(RuntimeError, "without shard.classes", memory.load_state_dict, lacking, strict=False)
    equal(memory.get_extra_state(), before["_extra_state"])
    for name, value in before.items():
        equal(memory.state_dict()[name], value)


CHECKS = {
    name: call
    for name, call in (globals() | vars(model_checks)).items()
    if name.startswith("check_")
}


def main():
    torch.set_num_threads(1)
    distributed.start()
    folder = Path(sys.argv[1])
    found = {}
    for name, call in CHECKS.items():
        found[name] = ""
        try:
            call()
        except Exception:
            found[name] = traceback.format_exc()
        (folder / f"{rank()}.json").write_text(json.dumps(found))
        # A rank that failed alone would leave the others waiting: end them all.
        dist.monitored_barrier(timeout=timedelta(seconds=30))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
