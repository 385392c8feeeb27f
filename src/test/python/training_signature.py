"""Exports a model with a training signature of its own, and what 20 steps of tf_keras's Adafactor make of it.

    python training_signature.py FOLDER

FOLDER/model is the model, with the signatures `serving_default` and `train`. FOLDER/expected.json has its batches (`ids`, `labels`,
`sample_weights`), the losses of the steps in Python, and the values of the variables after them.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras

L = tf_keras.layers
STEPS, BATCH = 20, 8


def export(model, folder):
    """What a user writes: a function of features and labels that returns the loss and each variable's gradient."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 6], tf.int32, name="ids"),
            tf.TensorSpec([None], tf.int32, name="labels"),
            tf.TensorSpec([None], tf.float32, name="sample_weights"),
        ]
    )
    def train(ids, labels, sample_weights):
        with tf.GradientTape() as tape:
            y = model(ids, training=True)
            loss = tf_keras.losses.SparseCategoricalCrossentropy()(labels, y, sample_weights) + tf.add_n(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        accuracy = tf.reduce_mean(tf_keras.metrics.sparse_categorical_accuracy(labels, y))
        named = {f"gradient/{v.name[:-2]}": tf.convert_to_tensor(g) for v, g in zip(model.trainable_variables, gradients)}
        return {"loss": loss, "accuracy": accuracy, **named}

    serve = tf.function(lambda ids: {"y": model(ids, training=False)}, input_signature=[tf.TensorSpec([None, 6], tf.int32, name="ids")])
    tf.saved_model.save(model, folder, signatures={"serving_default": serve, "train": train})
    return train


def main(folder):
    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.set_random_seed(1)
    model = tf_keras.Sequential(
        [
            L.Input([6], dtype="int32"),
            L.Embedding(12, 4),
            L.LSTM(5, kernel_regularizer="l2"),
            L.BatchNormalization(momentum=0.8),
            L.Dense(3, "softmax"),
        ]
    )
    train = export(model, os.path.join(folder, "model"))
    random = np.random.default_rng(1)
    batches = {
        "ids": random.integers(0, 12, (STEPS, BATCH, 6)).astype(np.int32),
        "labels": random.integers(0, 3, (STEPS, BATCH)).astype(np.int32),
        "sample_weights": random.uniform(0.5, 2.0, (STEPS, BATCH)).astype(np.float32),
    }
    before = [v.numpy() for v in model.variables]
    optimizer = tf_keras.optimizers.Adafactor(0.03, epsilon_1=1e-16)
    losses = []
    for step in range(STEPS):
        result = train(**{name: tf.constant(values[step]) for name, values in batches.items()})
        optimizer.apply_gradients([(result[f"gradient/{v.name[:-2]}"], v) for v in model.trainable_variables])
        losses.append(float(result["loss"]))
    expected = {
        **{name: values.ravel().tolist() for name, values in batches.items()},
        "losses": losses,
        "before": {v.name[:-2]: b.ravel().tolist() for v, b in zip(model.variables, before)},
        "after": {v.name[:-2]: v.numpy().ravel().tolist() for v in model.variables},
    }
    with open(os.path.join(folder, "expected.json"), "w") as out:
        json.dump(expected, out)


if __name__ == "__main__":
    main(sys.argv[1])
