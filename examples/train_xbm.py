"""Train an embedder with cross-batch memory, on bundled characters or on a folder of images.

    python examples/train_xbm.py                        # hanzi, 200 updates
    python examples/train_xbm.py --memory 0             # no memory
    python examples/train_xbm.py --images /my/folder    # one sub-folder of images per class

Needs ``pip install -e '.[study]'``. Test and training classes differ, as in the paper. 200 updates
show how it runs, not the gain of the memory: for that, search both arms at thousands of updates.
"""

import argparse
import sys

import torch
from torch.utils.data import DataLoader, TensorDataset

from xbmlib import XBM, ContrastiveLoss, PKSampler, backbones, datasets, recall_at_k

DIM = 128  # D


def bundled(name):
    """(images, labels) of training and of test; a fifth of the training classes is the test."""
    data = datasets.load(name, split="validation")
    return (data.train.images, data.train.labels), (data.query.images, data.query.labels)


def own(folder):
    """(images, labels) of training and of test: the classes in the first and the second half."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    view = [transforms.Grayscale(), transforms.Resize((32, 32)), transforms.PILToTensor()]
    images, labels = zip(*ImageFolder(folder, transforms.Compose(view)), strict=True)
    images, labels = torch.stack(images), torch.tensor(labels)
    if labels.max() < 3:
        raise ValueError(f"{folder}: {labels.max() + 1} classes; give 4 or more, half for the test")
    train = labels < (labels.max() + 1) // 2
    return (images[train], labels[train]), (images[~train], labels[~train])


def train(net, images, labels, *, batch, k, steps, lr, lam, memory):
    """Train with the loss of the batch and, after the warm-up, that against the memory."""
    loss = ContrastiveLoss(lam=lam)
    xbm = XBM(loss, size=max(1, round(memory * len(labels))), dim=DIM, start=steps // 10)
    optimiser = torch.optim.Adam(net.parameters(), lr)
    sampler = PKSampler(labels, p=batch // k, k=k, steps=steps)
    loader = DataLoader(TensorDataset(images, labels), batch_sampler=sampler)
    for step, (x, y) in enumerate(loader):
        anchors = net(x.to(memory_format=torch.channels_last) / 255)
        value = xbm(anchors, y) if memory else loss(anchors, y)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        if (step + 1) % max(1, steps // 5) == 0:
            print(f"step {step + 1}: loss {value:.3f}, {len(xbm.memory):,} entries")


@torch.no_grad()
def evaluate(net, images, labels):
    """R@1 and R@10 in percent; each image is a query against all others."""
    net.eval()
    embeddings = torch.cat([net(x / 255) for x in images.split(256)])
    net.train()
    recall = recall_at_k(embeddings, labels, [1, 10])
    return {f"R@{k}": round(100 * value, 1) for k, value in recall.items()}


def main():
    """Parse the command line, train, and print Recall@K."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", help="folder with one sub-folder of images per class")
    parser.add_argument("--data", default="hanzi", help="a bundled set: hanzi, emoji or hangul")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16, help="m, a multiple of k")
    parser.add_argument("--k", type=int, default=2, help="K, images of each class in a batch")
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--lam", type=float, default=0.8, help="λ; 0.5 in the released code")
    parser.add_argument("--memory", type=float, default=1.0, help="R_M = M / N; 0: no memory")
    given = parser.parse_args()
    if min(given.steps, given.k) < 1 or given.batch % given.k or not 0 <= given.memory <= 1:
        sys.exit(f"steps={given.steps}, batch={given.batch}, k={given.k}, memory={given.memory}: "
                 "give steps and k of at least 1, a batch that is a multiple of k, and a memory in "
                 "[0, 1]")  # fmt: skip

    torch.manual_seed(0)
    training, test = own(given.images) if given.images else bundled(given.data)
    print(f"{len(training[1]):,} images for training, {len(test[1]):,} for the test")
    net = backbones.build("compact", DIM, channels=training[0].shape[1])
    net.to(memory_format=torch.channels_last)  # in which a CPU trains fastest
    train(net, *training, batch=given.batch, k=given.k, steps=given.steps, lr=given.lr,
          lam=given.lam, memory=given.memory)  # fmt: skip
    print(evaluate(net, *test))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(str(error))
