#!/usr/bin/env python3
"""Makes sure that SavedModels that were trained elsewhere are complete.

    check_kinds.py BEFORE PROBE.json X.npy Y.npy AFTER ...

BEFORE is the SavedModel that was trained, AFTER what came of it, PROBE.json a list of a few examples of its one
input, X and Y are examples and their classes. Checks that of all that the checkpoint holds only trainable variables
changed, that fingerprint.pb is the folder's own, that tf_keras loads the model where it loaded it before, compiled or
not, with the same predictions, and that it can be trained on: by fit, or by a tape through the signature. AFTER.json
becomes an object: for each signature, for each output, its values for the probe.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras
from reload import fingerprint
from tensorflow.core.protobuf import trackable_object_graph_pb2
from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting


def values(folder):
    """All that the checkpoint holds, by key; the variables' names, by key; how the objects hang together."""
    reader = tf.train.load_checkpoint(os.path.join(folder, "variables", "variables"))
    tensors = {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}
    objects = trackable_object_graph_pb2.TrackableObjectGraph.FromString(tensors.pop("_CHECKPOINTABLE_OBJECT_GRAPH"))
    names = {}
    for node in objects.nodes:
        for attribute in node.attributes:
            names[attribute.checkpoint_key] = attribute.full_name
            attribute.full_name = ""  # Python's own saver makes these unique
    return tensors, names, objects


def check_variables(before, after, trainable):
    old, names, objects = values(before)
    new, _, new_objects = values(after)
    assert objects == new_objects
    assert old.keys() == new.keys(), old.keys() ^ new.keys()
    changed = {names[key] for key in old if not np.array_equal(old[key], new[key])}
    assert changed == trainable, (changed, trainable)
    return len(old)


def check_fingerprint(folder):
    with open(os.path.join(folder, "fingerprint.pb"), "rb") as file:
        assert fingerprint(file.read()) == fingerprint(fingerprinting.CreateFingerprintDef(folder))
    assert tf.saved_model.experimental.read_fingerprint(folder).checkpoint_hash


def call(signature, probe):
    specs = signature.structured_input_signature[1]
    return signature(**{name: tf.constant(probe, spec.dtype) for name, spec in specs.items()})


def check_keras(folder, probe, x, y, expected):
    for compiled in (True, False):
        model = tf_keras.models.load_model(folder, compile=compiled)
        np.testing.assert_allclose(model(tf.constant(probe, tf.float32), training=False), expected, atol=1e-6)
        if not (compiled and model.optimizer):
            model.compile("adam", "sparse_categorical_crossentropy")
        losses = model.fit(x, y, epochs=2, batch_size=16, verbose=0).history["loss"]
        assert np.all(np.isfinite(losses)), losses


def check_training(loaded, x, y):
    """A few steps of plain gradient descent, through the signature."""
    signature = loaded.signatures["serving_default"]
    losses = []
    for _ in range(5):
        with tf.GradientTape() as tape:
            (probabilities,) = call(signature, x).values()
            picked = tf.gather(probabilities, y, batch_dims=1)
            loss = -tf.reduce_mean(tf.math.log(picked))
        variables = [v for v in tape.watched_variables() if v.trainable]
        for variable, gradient in zip(variables, tape.gradient(loss, variables)):
            variable.assign_sub(0.01 * tf.convert_to_tensor(gradient))
        losses.append(float(loss))
    assert losses[-1] < losses[0], losses


def check(before, after, probe, x, y):
    loaded = tf.saved_model.load(after)
    results = {
        name: {output: value.numpy().tolist() for output, value in call(signature, probe).items()}
        for name, signature in loaded.signatures.items()
    }
    trainable = {variable.name.removesuffix(":0") for variable in loaded.signatures["serving_default"].trainable_variables}
    count = check_variables(before, after, trainable)
    check_fingerprint(after)
    carries_keras = os.path.exists(os.path.join(after, "keras_metadata.pb"))
    if carries_keras:
        check_keras(after, probe, x, y, next(iter(results["serving_default"].values())))
    check_training(loaded, x, y)
    print(f"{len(trainable)} of {count} values changed; {len(results)} signatures; tf_keras loads it: {carries_keras}")
    with open(after + ".json", "w") as file:
        json.dump(results, file)


def main(before, probe, x, y, *exports):
    tf.get_logger().setLevel("ERROR")
    with open(probe) as file:
        probe = json.load(file)
    for after in exports:
        check(before, after, probe, np.load(x), np.load(y))


if __name__ == "__main__":
    main(*sys.argv[1:])
