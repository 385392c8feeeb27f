#!/usr/bin/env python3
"""Fine-tunes a SavedModel with tf_keras's Adafactor on given batches: what `fine-tune` does in Java, done in Python.

    train_savedmodel.py --model DIR --features X.npy --labels Y.npy --batches B.npy --optimizer CONFIG.json --out OUT.npz

B.npy is int64 [steps, batch]: each row has the indices of one step's samples, -1 in the places that a smaller batch leaves.
CONFIG.json is Adafactor's get_config() or serialize(), whole or in part ({"learning_rate": 0.03, "epsilon_1": 1e-16}).
The model runs in inference mode (training=False). The loss is sparse categorical cross-entropy, the mean over the batch, of
probabilities, or of logits with --from-logits. Where a Softmax made the probabilities, tf_keras computes the loss from the logits
before it; of the probabilities themselves, those below 1e-7 would count as 1e-7 and have no gradient. finalize_variable_values comes after the last step, as fit() does it.

OUT.npz gets `losses`, float64 [steps]: the loss of each step before its update; and for each trainable variable NAME (without
":0") `before/NAME` and `after/NAME`.
"""

import argparse
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tf_keras


def adafactor(path):
    config = json.loads(path.read_text())
    return tf_keras.optimizers.Adafactor.from_config(config.get("config", config))


def weights(model, when):
    return {f"{when}/{variable.name.removesuffix(':0')}": variable.numpy() for variable in model.trainable_variables}


def train(model, optimizer, features, labels, batches, from_logits):
    """The losses of the steps."""
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function(reduce_retracing=True)
    def step(x, y):
        with tf.GradientTape() as tape:
            predictions = model(x, training=False)
            loss = tf.reduce_mean(tf_keras.losses.sparse_categorical_crossentropy(y, predictions, from_logits=from_logits))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    losses = []
    for row in batches:
        batch = row[row >= 0]
        losses.append(float(step(tf.constant(features[batch]), tf.constant(labels[batch]))))
    optimizer.finalize_variable_values(variables)
    return losses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["model", "features", "labels", "batches", "optimizer", "out"]:
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--from-logits", action="store_true", help="the model's output is logits")
    arguments = parser.parse_args()

    tf.get_logger().setLevel("ERROR")
    model = tf_keras.models.load_model(arguments.model, compile=False)
    before = weights(model, "before")
    losses = train(
        model,
        adafactor(arguments.optimizer),
        np.load(arguments.features),
        np.load(arguments.labels),
        np.load(arguments.batches),
        arguments.from_logits,
    )
    np.savez(arguments.out, losses=np.array(losses, np.float64), **before, **weights(model, "after"))
    print(f"{len(losses)} steps, loss {losses[0]:.6f} -> {losses[-1]:.6f}")


if __name__ == "__main__":
    main()
