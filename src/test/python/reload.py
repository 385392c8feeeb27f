"""Loads the digits model of a folder in both of Python's ways.

    python reload.py MODEL IMAGES.json OUT.json

IMAGES.json is a flat list of pixels, 64 an image. OUT.json becomes an object: the predictions by tf.saved_model.load
("saved_model") and by tf_keras.models.load_model ("load_model"), and whether fingerprint.pb is the one that
TensorFlow computes for the folder.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import fingerprint_pb2
from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting


HASHES = (
    "saved_model_checksum",
    "graph_def_program_hash",
    "signature_def_hash",
    "saved_object_graph_hash",
    "checkpoint_hash",
)


def fingerprint(data):
    proto = fingerprint_pb2.FingerprintDef.FromString(data)
    return [getattr(proto, name) for name in HASHES]


def main(folder, images, out):
    with open(images) as file:
        x = np.array(json.load(file), np.float32).reshape(-1, 8, 8, 1)
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    with open(os.path.join(folder, "fingerprint.pb"), "rb") as file:
        written = fingerprint(file.read())
    results = {
        "saved_model": serve(image=tf.constant(x))["probabilities"].numpy().ravel().tolist(),
        "load_model": tf_keras.models.load_model(folder).predict(x, verbose=0).ravel().tolist(),
        "fingerprint_is_consistent": written == fingerprint(fingerprinting.CreateFingerprintDef(folder)),
    }
    with open(out, "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
