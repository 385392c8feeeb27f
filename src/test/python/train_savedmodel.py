#!/usr/bin/env python3
"""Fine-tunes SavedModels with tf_keras's Adafactor: what `fine-tune` does in Java, done in Python.

    train_savedmodel.py JOB.json ...

export_models.py says what a job is. A model that tf_keras can load is called as such, any other by its signature (in mode training: by
its __call__). Where a Softmax or
Sigmoid made the probabilities of a model that tf_keras loaded, tf_keras computes the loss from the logits before it; of the probabilities
themselves, those below 1e-7 would count as 1e-7 and have no gradient. The loss is the mean over the batch and the model's own losses
(regularization); finalize_variable_values comes after the last step, as fit() does it.

Of NAME.json there comes NAME-python.npz: `losses`, float64 [steps], the loss of each step before its update; and of each variable, in the
model's own order, before/I and after/I. Where the job names undetermined variables, noise/I is after/I of a run whose trainable variables
were disturbed by 1e-7 of their values before the first step.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras


class KerasModel:
    def __init__(self, folder):
        self.root = tf_keras.models.load_model(folder, compile=False)
        self.variables = self.root.variables
        self.trainable_variables = self.root.trainable_variables

    def __call__(self, features, output, training):
        inputs = features if len(features) > 1 else next(iter(features.values()))
        results = self.root(inputs, training=training)
        return (results[self.root.output_names.index(output)] if output else results), self.root.losses


class SignatureModel:
    def __init__(self, folder, signature):
        self.root = tf.saved_model.load(folder)  # the signature does not keep it alive
        self.signature = self.root.signatures[signature]
        self.variables = self.signature.variables
        self.trainable_variables = self.signature.trainable_variables

    def __call__(self, features, output, training):
        if training:  # a plain tf.Module
            return self.root(next(iter(features.values())), training=True), []
        results = self.signature(**features)
        return results[output or next(iter(results))], []


def load(folder, signature):
    if (folder / "keras_metadata.pb").exists():
        return KerasModel(str(folder))
    return SignatureModel(str(folder), signature)


def loss_function(job):
    function = getattr(tf_keras.losses, job["loss"])
    return lambda labels, output: tf.reduce_mean(
        function(labels, output, from_logits=True) if job["from_logits"] else function(labels, output)
    )


class Training:
    def __init__(self, job, folder):
        self.job = job
        self.features = {name: np.load(folder / path) for name, path in job["features"].items()}
        self.labels = np.load(folder / job["labels"])
        self.model = load(folder / job["model"], job["signature"])
        self.loss = loss_function(job)
        self.optimizer = tf_keras.optimizers.Adafactor.from_config(job["optimizer"])
        if job["exclude"]:
            self.optimizer.exclude_from_weight_decay(var_names=job["exclude"])
        self.optimizer.build(self.model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(self, features, labels):
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            output, own_losses = self.model(features, self.job["output"], self.job["mode"] == "training")
            loss = tf.cast(self.loss(labels, output), tf.float64) + sum(tf.cast(own, tf.float64) for own in own_losses)
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    def run(self):
        """The losses of the steps."""
        losses = []
        for start in range(0, len(self.labels), self.job["batch_size"]):
            rows = slice(start, start + self.job["batch_size"])
            features = {name: tf.constant(values[rows]) for name, values in self.features.items()}
            losses.append(float(self.step(features, tf.constant(self.labels[rows]))))
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        return losses

    def disturb(self):
        random = np.random.default_rng(1)
        for variable in self.model.trainable_variables:
            noise = 1 + 1e-7 * random.normal(size=variable.shape)
            variable.assign(tf.cast(tf.cast(variable, tf.float64) * noise, variable.dtype))


def values(variables):
    return [variable.numpy() for variable in variables]


def main(files):
    tf.get_logger().setLevel("ERROR")
    for file in files:
        job = json.loads(file.read_text())
        training = Training(job, file.parent)
        state = [*training.model.variables, *training.optimizer.variables]
        start = values(state)
        results = {"before": values(training.model.variables)}
        losses = training.run()
        results["after"] = values(training.model.variables)
        if job["undetermined"]:
            for variable, value in zip(state, start):
                variable.assign(value)
            training.disturb()
            training.run()
            results["noise"] = values(training.model.variables)
        arrays = {f"{when}/{i}": value for when, all_values in results.items() for i, value in enumerate(all_values)}
        np.savez(file.with_name(f"{file.stem}-python.npz"), losses=np.array(losses, np.float64), **arrays)
        print(f"{file.stem}: {len(losses)} steps, loss {losses[0]:.6f} -> {losses[-1]:.6f}", flush=True)


if __name__ == "__main__":
    main([pathlib.Path(argument) for argument in sys.argv[1:]])
