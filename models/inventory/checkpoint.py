"""Checkpoints as bytes, without anything that could run code when they are read."""

from __future__ import annotations

import io
from dataclasses import asdict

import torch

from models.inventory.hdpo import Checkpoint, Epoch


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as tensors and plain values."""
    buffer = io.BytesIO()
    torch.save(asdict(checkpoint), buffer)
    return buffer.getvalue()


def read_checkpoint(content: bytes) -> Checkpoint:
    """A checkpoint from its bytes; refuses anything but tensors and plain values."""
    plain = torch.load(io.BytesIO(content), weights_only=True)
    curve = tuple(Epoch(**epoch) for epoch in plain.pop("curve"))
    return Checkpoint(curve=curve, **plain)
