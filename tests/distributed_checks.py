"""Checks that run on every rank of one launch; see test_distributed.py.

    torchrun --nproc-per-node R tests/distributed_checks.py FOLDER

Each writes what it found to FOLDER/rank.json: check to "" or what went wrong. The oracle is one
process with everything: our queue and loss on the whole batch, which every rank also has.
"""

import copy
import json
import sys
import traceback
from datetime import timedelta
from itertools import chain, pairwise, product
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from xbmlib import backbones, distributed
from xbmlib.distributed import DistributedError, ShardedMemory, backward, gather, memory_loss
from xbmlib.losses import (
    ContrastiveLoss,
    MultiSimilarityLoss,
    PairLoss,
    TripletLoss,
    Weighting,
    candidates,
)
from xbmlib.queue import CrossBatchMemory


class BinomialDeviance(PairLoss):
    """A loss of a user's own that states no bound."""

    def weigh(self, positives, negatives):
        """The derivatives of two soft-plus terms."""
        pair, other = positives != torch.inf, negatives != -torch.inf
        near, far = (0.5 - positives).mul(2), (negatives - 0.5).mul(40)
        loss = torch.where(pair, F.softplus(near), 0).sum(1)
        loss = loss + torch.where(other, F.softplus(far), 0).sum(1)
        weights = 2 * near.sigmoid() * pair, 40 * far.sigmoid() * other
        return Weighting(loss, *weights, terms=pair.sum(1) + other.sum(1))


LOSSES = (
    ContrastiveLoss(0.1),
    ContrastiveLoss(0.4, "mean"),
    TripletLoss(0.2),
    TripletLoss(0.05, "mean"),
    MultiSimilarityLoss(),
    MultiSimilarityLoss(2, 10, 0.1, 0.3, "mean"),
    BinomialDeviance(),
    BinomialDeviance("mean"),
)


kinds = (CrossBatchMemory, ShardedMemory)


def rank():
    return dist.get_rank()


def ranks():
    return dist.get_world_size()


def splits(m, seed):
    """An uneven way to share m rows among the ranks, the same on all; 0 rows included."""
    cuts = torch.randint(0, m + 1, (ranks() - 1,), generator=torch.Generator().manual_seed(seed))
    edges = [0, *sorted(cuts.tolist()), m]
    return [slice(a, b) for a, b in pairwise(edges)]


def whole_batch(m, seed, dim=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(m, dim, generator=generator, dtype=torch.float64)
    labels = torch.randint(-2, 3, (m,), generator=generator)
    return x.to(dtype), labels, torch.randint(0, 10**12, (m,), generator=generator)


def linear():
    torch.manual_seed(3)
    return nn.Linear(7, 5).double()


def embed(model, x):
    return F.normalize(model(x))


def close(a, b, tolerance=1e-10):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def equal(a, b):
    assert torch.equal(a, b), (a, b)


def same_queue(memory, single):
    """The union of the shards, put together slot by slot, against the single queue."""
    assert (len(memory), memory.pointer, memory.full) == (len(single), single.pointer, single.full)
    found = torch.zeros(len(single), dtype=torch.int64)
    close(memory.shard.embeddings, single.embeddings[memory.slots])
    equal(memory.shard.labels, single.labels[memory.slots])
    equal(memory.shard.ids, single.ids[memory.slots])
    equal(memory.age, single.age[memory.slots])
    found[memory.slots] = 1
    dist.all_reduce(found)
    equal(found, torch.ones_like(found))


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
        assert batch.own == mine
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
    kept = candidates.BLOCK
    try:
        for candidates.BLOCK in (1, 60, 200):
            for loss in LOSSES[1::2]:
                streams(loss, True, 23, [6, 1, 17], resume=2)
    finally:
        candidates.BLOCK = kept


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


def refused(kind, told, call, *arguments, **named):
    """The call fails with this error on this rank; a hang ends the launch by its timeout."""
    try:
        call(*arguments, **named)
    except kind as error:
        assert told in str(error), error
    else:
        raise AssertionError(f"not refused: {told}")


def check_one_error_on_all_ranks():
    """What does not fit together is told on every rank, and the next call goes on."""
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


def check_backward():
    """Adds to what is there; leaves alone what no rank used; DDP, told apart, gives the same."""
    x, labels, _ = whole_batch(11, 5)
    mine = splits(11, 5)[rank()]
    loss = MultiSimilarityLoss()
    oracle, model = linear(), linear()
    for net in (oracle, model):
        net.unused = nn.Linear(2, 2).double()
    for _ in range(2):
        loss(embed(oracle, x), labels).backward()
        backward(loss(*gather(embed(model, x[mine]), labels[mine])[:2]), model)
    close(model.weight.grad, oracle.weight.grad)
    close(model.bias.grad, oracle.bias.grad)
    assert model.unused.weight.grad is None

    wrapped, oracle = DistributedDataParallel(linear()), linear()
    loss(embed(oracle, x), labels).backward()
    backward(loss(*gather(embed(wrapped, x[mine]), labels[mine])[:2]), wrapped)
    close(wrapped.module.weight.grad, oracle.weight.grad)

    torch.manual_seed(rank())
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    net[1].running_mean.normal_()
    distributed.same_start(net)
    torch.manual_seed(0)
    wanted = nn.Conv2d(3, 4, 3)
    equal(net[0].weight.detach(), wanted.weight.detach())
    means = [torch.empty(4) for _ in range(ranks())]
    dist.all_gather(means, net[1].running_mean)
    equal(means[0], means[-1])


def small_net(momentum=0.1):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6, momentum=momentum), nn.ReLU(),
        nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Linear(4 * 16, 5),
        nn.BatchNorm1d(5),
    ).double()  # fmt: skip


def check_batch_norm():
    """torch's own on the whole batch: output, gradients, statistics; uneven and empty shares."""
    for seed, momentum in enumerate([0.1, None, 0.3, 0.1]):
        oracle, net = small_net(momentum), distributed.sync_batch_norm(small_net(momentum))
        assert sum(isinstance(m, distributed.GlobalBatchNorm) for m in net.modules()) == 3
        for m in (9, 2, 5):
            torch.manual_seed(10 * seed + m)
            x, mine = torch.randn(m, 2, 8, 8).double(), splits(m, seed)[rank()]
            z, local = x.clone().requires_grad_(), x[mine].clone().requires_grad_()
            oracle.zero_grad()
            net.zero_grad()
            out = oracle(z)
            (out @ out.T).sin().sum().backward()
            batch = gather(net(local), torch.zeros(len(local)).long())
            value = (batch.embeddings @ batch.embeddings.T).sin().sum()
            close(batch.embeddings.detach(), out.detach())
            (grad,) = torch.autograd.grad(value, local, retain_graph=True)
            close(grad, z.grad[mine])
            backward(value, net)
            for (name, p), q in zip(net.named_parameters(), oracle.parameters(), strict=True):
                assert torch.allclose(p.grad, q.grad, 1e-8, 1e-8), name
        assert net.state_dict().keys() == oracle.state_dict().keys()
        for a, b in zip(net.state_dict().values(), oracle.state_dict().values(), strict=True):
            close(a, b)
        close(net.eval()(x), oracle.eval()(x))
    frozen = distributed.sync_batch_norm(backbones.build("compact", 8, freeze_bn=True)).train()
    assert not any(isinstance(m, _BatchNorm) and m.training for m in frozen.modules())
    x = torch.ones(1 if rank() == 0 else 0, 3)
    refused(ValueError, "1 values a channel", distributed.sync_batch_norm(nn.BatchNorm1d(3)), x)
    grey = distributed.sync_batch_norm(nn.BatchNorm1d(3))
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    close(gather(grey(x), torch.zeros(4).long())[0], nn.BatchNorm1d(3)(x).repeat(ranks(), 1), 1e-2)


def check_training():
    """A convolutional net with everything, ten steps: the weights of one process."""
    for sharded in (False, True):
        oracle, net = small_net(), distributed.sync_batch_norm(small_net())
        memory = kinds[sharded](14, 5, dtype=torch.float64)
        single, loss = CrossBatchMemory(14, 5, dtype=torch.float64), MultiSimilarityLoss()
        optimisers = [torch.optim.SGD(n.parameters(), 0.05, momentum=0.9) for n in (oracle, net)]
        for step in range(10):
            m = 4 + step % 5
            torch.manual_seed(step)
            x, labels = torch.randn(m, 2, 8, 8).double(), torch.arange(m) % 3
            mine = distributed.share(m, rank(), ranks())
            batch = gather(F.normalize(net(x[mine])), labels[mine])
            own = memory.enqueue(batch.embeddings, batch.labels)
            total = loss(batch.embeddings, batch.labels)
            total = total + memory_loss(loss, batch, memory, own)
            v = F.normalize(oracle(x))
            slots = single.enqueue(v, labels)
            wanted = loss(v, labels)
            wanted = wanted + loss(v, labels, single.embeddings, single.labels, own=slots)
            for optimiser in optimisers:
                optimiser.zero_grad()
            wanted.backward()
            backward(total, net)
            for optimiser in optimisers:
                optimiser.step()
            close(total.detach(), wanted.detach(), 1e-8)
        for a, b in zip(net.parameters(), oracle.parameters(), strict=True):
            close(a.detach(), b.detach(), 1e-8)


CHECKS = {
    name: call for name, call in list(globals().items()) if name.startswith("check_")
}  # fmt: skip


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
