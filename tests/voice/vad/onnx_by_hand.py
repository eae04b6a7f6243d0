"""A model small enough to write down: the protocol buffers of ONNX (onnx.proto3), without the package `onnx`."""

from __future__ import annotations

from collections.abc import Sequence


def mean_model(shape: Sequence[int], name: str = "input_features") -> bytes:
    """`name` (any, *shape) -> `logits`: the sigmoid of its mean."""
    axes = _text(1, "axes") + b"".join(_int(8, axis + 1) for axis in range(len(shape))) + _int(20, 7)
    keep = _text(1, "keepdims") + _int(3, 0) + _int(20, 2)
    mean = _text(1, name) + _text(2, "mean") + _text(4, "ReduceMean") + _part(5, axes) + _part(5, keep)
    sigmoid = _text(1, "mean") + _text(2, "logits") + _text(4, "Sigmoid")
    graph = _part(1, mean) + _part(1, sigmoid) + _text(2, "by hand")
    graph += _part(11, _value(name, ("batch", *shape))) + _part(12, _value("logits", ("batch",)))
    return _int(1, 8) + _part(7, graph) + _part(8, _text(1, "") + _int(2, 13))


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(_part(1, _int(1, each) if isinstance(each, int) else _text(2, each)) for each in shape)
    return _text(1, name) + _part(2, _part(1, _int(1, 1) + _part(2, dims)))


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def _int(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _part(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _text(field: int, text: str) -> bytes:
    return _part(field, text.encode())
