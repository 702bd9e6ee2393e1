"""Fits the embedding network with torch; apart from the network itself, so that only who fits one pays for torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.payments.oracles.additive import standardised
from models.payments.oracles.embedding import EmbeddingOracle, EmbeddingParams
from models.payments.oracles.oracle import TrainingSet
from quaestor.export.encoding import Features


def fit_embedding(params: EmbeddingParams, training: TrainingSet, seed: int) -> EmbeddingOracle:
    """Fits log loss by AdamW (Loshchilov and Hutter, arXiv 1711.05101) with a learning rate that falls to zero."""
    device = torch.device(params.device if torch.cuda.is_available() else "cpu")
    made = torch.Generator().manual_seed(seed)
    network = _Network(params, training, made).to(device)
    numbers = torch.from_numpy(standardised(training.features, training.contexts.numeric)[:, 1:].copy())
    data = [numbers, torch.from_numpy(training.contexts.category), torch.from_numpy(training.action)]
    data += [torch.from_numpy(training.reward.astype(np.float32))]
    weight = np.ones(len(training)) if training.weight is None else training.weight
    data = [tensor.to(device) for tensor in (*data, torch.from_numpy(weight.astype(np.float32)))]
    optimiser = torch.optim.AdamW(network.parameters(), lr=params.learning_rate, weight_decay=params.decay)
    steps = params.epochs * -(-len(training) // params.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, params.learning_rate * 2, total_steps=max(steps, 2))
    for _ in range(params.epochs):
        order = torch.randperm(len(training), generator=made).to(device)
        for rows in order.split(params.batch):
            number, category, action, reward, counted = (tensor[rows] for tensor in data)
            logit = network(number, category).gather(1, action[:, None])[:, 0]
            loss = nn.functional.binary_cross_entropy_with_logits(logit, reward, counted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.oracle(training.features)


class _Network(nn.Module):
    def __init__(self, params: EmbeddingParams, training: TrainingSet, made: torch.Generator) -> None:
        super().__init__()
        levels = [len(feature.levels) + 1 for feature in training.features.category]
        inputs = len(training.features.numeric) + params.width * len(levels)

        def drawn(*shape: int, scale: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=made) * scale)

        self.tables = nn.ParameterList([drawn(count, params.width, scale=0.1) for count in levels])
        self.hidden = drawn(params.hidden, inputs, scale=float(max(inputs, 1)) ** -0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(params.hidden))
        self.output = drawn(training.actions, params.hidden, scale=0.01)
        self.straight = nn.Parameter(torch.zeros(training.actions, inputs))
        rate = min(max(float(training.reward.mean()), 0.01), 0.99)
        self.output_bias = nn.Parameter(torch.full((training.actions,), float(np.log(rate / (1 - rate)))))

    def forward(self, numbers: torch.Tensor, category: torch.Tensor) -> torch.Tensor:
        """Logits, (round, action)."""
        looked_up = [nn.functional.embedding(category[:, column], table) for column, table in enumerate(self.tables)]
        inputs = torch.cat([numbers, *looked_up], dim=1)
        units = torch.relu(inputs @ self.hidden.T + self.hidden_bias)
        return units @ self.output.T + inputs @ self.straight.T + self.output_bias

    def oracle(self, features: Features) -> EmbeddingOracle:
        """The weights as arrays."""

        def array(tensor: torch.Tensor) -> NDArray[np.float32]:
            return np.ascontiguousarray(tensor.detach().cpu().numpy())

        tables = tuple(array(table) for table in self.tables)
        names = ("hidden", "hidden_bias", "output", "straight", "output_bias")
        return EmbeddingOracle(features, tables, **{name: array(getattr(self, name)) for name in names})
