#!/usr/bin/env python3
"""Makes a SavedModel that is worth timing, untrained, with inputs and labels.

    workloads.py NAME FOLDER

    cnn          three convolutions with batch normalization on images of 32 x 32
    transformer  two layers over sequences of 64 tokens
    bert         BERT-base's shape: 12 layers of 768, 110 million parameters, sequences of 128
    slim         BERT-base's structure, its 199 variables, but layers of 48
    deep         a chain of 501 dense layers: 1,002 variables
    wide         20 layers of 40 dense ones side by side: 1,602 variables

FOLDER gets `model`, by model.save; INPUT.npy for each of the model's inputs; labels.npy (int32 classes); and, for reading,
inputs.txt with the names of the inputs.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras

layers = tf_keras.layers


def cnn():
    image = x = layers.Input([32, 32, 3], name="image")
    for filters in [32, 64, 128]:
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return tf_keras.Model(image, layers.Dense(10)(x))


def encoder(tokens, positions, depth, width, heads):
    """BERT's: words, positions and token types, then blocks of attention and two dense layers, normalized after each."""
    ids = layers.Input([positions[0]], name="input_ids", dtype=tf.int32)
    mask = layers.Input([positions[0]], name="input_mask", dtype=tf.int32)
    types = layers.Input([positions[0]], name="token_types", dtype=tf.int32)
    # Of the ids, for a functional model keeps what follows from no input as lists of constants.
    places = tf.cumsum(tf.ones_like(ids), axis=1, exclusive=True)
    x = layers.Add()(
        [
            layers.Embedding(tokens, width, name="words")(ids),
            layers.Embedding(2, width, name="types")(types),
            layers.Embedding(positions[1], width, name="positions")(places),
        ]
    )
    x = layers.Dropout(0.1)(layers.LayerNormalization(epsilon=1e-12)(x))
    seen = layers.Reshape([1, positions[0]])(mask)
    for _ in range(depth):
        attended = layers.MultiHeadAttention(heads, width // heads, dropout=0.1)(x, x, attention_mask=seen)
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dropout(0.1)(attended))
        dense = layers.Dense(4 * width, "gelu")(x)
        dense = layers.Dense(width)(dense)
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dropout(0.1)(dense))
    pooled = layers.Dense(width, "tanh")(x[:, 0])
    logits = layers.Dense(2)(layers.Dropout(0.1)(pooled))
    return tf_keras.Model([ids, mask, types], logits)


def deep():
    x = features = layers.Input([16], name="features")
    for _ in range(500):
        x = layers.Dense(16, "tanh")(x)
    return tf_keras.Model(features, layers.Dense(4)(x))


def wide():
    x = features = layers.Input([16], name="features")
    for _ in range(20):
        x = layers.Add()([layers.Dense(16, "tanh")(x) for _ in range(40)])
    return tf_keras.Model(features, layers.Dense(4)(x))


WORKLOADS = {
    "cnn": (cnn, 512),
    "transformer": (lambda: encoder(tokens=2000, positions=(64, 64), depth=2, width=128, heads=4), 512),
    "bert": (lambda: encoder(tokens=30522, positions=(128, 512), depth=12, width=768, heads=12), 80),
    "slim": (lambda: encoder(tokens=1000, positions=(16, 16), depth=12, width=48, heads=12), 256),
    "deep": (deep, 512),
    "wide": (wide, 512),
}


def data(model, rows, random):
    """Values for each input, by name."""
    for tensor in model.inputs:
        shape = (rows, *tensor.shape[1:])
        if tensor.name == "input_ids":
            words = next(layer.input_dim for layer in model.layers if layer.name == "words")
            yield tensor.name, random.integers(0, words, shape).astype(np.int32)
        elif tensor.name == "input_mask":
            lengths = random.integers(shape[1] // 2, shape[1] + 1, rows)
            yield tensor.name, (np.arange(shape[1]) < lengths[:, np.newaxis]).astype(np.int32)
        elif tensor.name == "token_types":
            yield tensor.name, np.broadcast_to(np.arange(shape[1]) >= shape[1] // 2, shape).astype(np.int32)
        else:
            yield tensor.name, random.normal(size=shape).astype(np.float32)


def main(name, folder):
    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    make, rows = WORKLOADS[name]
    model = make()
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model", save_format="tf", include_optimizer=False)
    for column, values in data(model, rows, random):
        np.save(folder / f"{column}.npy", values)
    np.save(folder / "labels.npy", random.integers(0, model.output_shape[-1], rows).astype(np.int32))
    (folder / "inputs.txt").write_text("".join(f"{tensor.name}\n" for tensor in model.inputs))
    print(f"{name}: {model.count_params():,} parameters")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
