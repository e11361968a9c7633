"""Checks of a model on every rank: gradients, batch normalisation, training.

See checks.py.
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from tests.distributed.tools import (
    close,
    embed,
    equal,
    kinds,
    linear,
    rank,
    ranks,
    refused,
    splits,
    whole_batch,
)
from xbmlib import backbones, distributed
from xbmlib.distributed import backward, gather, memory_loss
from xbmlib.losses import MultiSimilarityLoss
from xbmlib.queue import CrossBatchMemory


def check_backward():
    """Adds to existing gradients; leaves unused parameters alone; the same with DDP."""
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
    distributed.broadcast_parameters(net)
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
    refused(ValueError, "1 values per channel", distributed.sync_batch_norm(nn.BatchNorm1d(3)), x)
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
