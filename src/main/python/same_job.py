#!/usr/bin/env python3
"""Does a training job with tf_keras's Adafactor that `fine-tune` has done and recorded.

    same_job.py RECORDING OUT [--check | [--disturb] [--snapshots STEP ...]]

RECORDING is a folder with

    job.json      model          the SavedModel's folder
                  signature, output (null where there is but one), mode ("training" or "inference")
                  kind           "objective": a loss of the model's output; "gradients": a signature with loss and gradients of its own
                  loss           a name of tf_keras.losses, and from_logits; null for a signature of its own
                  activation     "Softmax" or "Sigmoid" where such an operation makes the output and the loss is taken of the logits
                                 that go into it; else null
                  features       by input {"files": .npy files whose rows follow one another, "dtype", "rank" (null: as it is)}
                  labels, sample_weights (null: none), alike
                  class_weights  one for each class; null: none
                  optimizer      Adafactor's get_config()
                  trained        in the order of the optimizer's state {"name", "path": attributes from the model on, "decays",
                                 "has_gradient"}: of what has no part in the loss, a signature gives zeros in place of no gradient
                  part_size      the examples of a run: those of a step, or fewer, whose gradients are added up
                  steps          the number of examples of each step
                  snapshots      after which steps the state was written
                  ending         "finalized" where "end" holds the variables that averages are put into, else null
    rows.int32    the rows of all steps, one after the other

A model that tf_keras can load is called as such, any other by its signature (in mode training: by its __call__). The loss is the mean over
the batch and the model's own losses (regularization). Of probabilities themselves, those below 1e-7 would count as 1e-7 and have no gradient;
so where there is an activation, a copy of the model gives what goes into it.

OUT, a folder that there is not yet, gets the checkpoints step-N and end of tf.train.Checkpoint(model=..., optimizer=...), and losses.float64:
the loss of each step before its update, a float64 as soon as the step is done. With --check, before the job, of which
there are no steps yet, a step is made and not run: if that works, OUT stays empty. With --disturb each trained variable is changed by as much as rounding
might before the first step: how far that leads tells what the job determines.
"""

import argparse
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
SAVED_MODEL = "saved_model.pb"
TRAINING = "training"


class Rows:
    """An array in files, a row for each example."""

    def __init__(self, files, dtype=None, rank=None):
        self.parts = [np.load(file, mmap_mode="r") for file in files]
        self.starts = np.cumsum([0] + [len(part) for part in self.parts])
        self.dtype = dtype
        self.rank = rank

    def __len__(self):
        return int(self.starts[-1])

    def __getitem__(self, rows):
        part = np.searchsorted(self.starts, rows, side="right") - 1
        picked = np.stack([self.parts[p][row - self.starts[p]] for p, row in zip(part, rows)])
        while self.rank is not None and picked.ndim < self.rank:
            picked = picked[..., None]
        while self.rank is not None and picked.ndim > self.rank and picked.shape[-1] == 1:
            picked = picked[..., 0]
        values = tf.constant(picked)
        return values if values.dtype == tf.string or self.dtype is None else tf.cast(values, self.dtype)


class KerasModel:
    def __init__(self, folder):
        self.root = tf_keras.models.load_model(folder, compile=False)
        self.variables = self.root.variables
        self.trainable_variables = self.root.trainable_variables

    def __call__(self, features, output, training):
        inputs = features if len(features) > 1 else next(iter(features.values()))
        results = self.root(inputs, training=training)
        if isinstance(results, dict):
            results = results[output or next(iter(results))]
        elif output and isinstance(results, (list, tuple)):
            results = results[self.root.output_names.index(output)]
        return results, self.root.losses


class SignatureModel:
    def __init__(self, folder, signature):
        self.root = tf.saved_model.load(folder)  # the signature does not keep it alive
        self.signature = self.root.signatures[signature]
        self.variables = self.signature.variables
        self.trainable_variables = self.signature.trainable_variables

    def __call__(self, features, output, training):
        if training:  # a plain tf.Module
            results = self.root(next(iter(features.values())), training=True) if len(features) == 1 else self.root(**features, training=True)
        else:
            results = self.signature(**features)
        return (results[output or next(iter(results))] if isinstance(results, dict) else results), []


def load(folder, signature):
    if (folder / "keras_metadata.pb").exists():
        return KerasModel(str(folder))
    return SignatureModel(str(folder), signature)


class Unactivated:
    """A SavedModel whose functions give, in place of what an activation makes, what goes into it."""

    def __init__(self, folder, activation):
        self.folder = folder
        self.activation = activation
        self.saved = saved_model_pb2.SavedModel()
        self.saved.ParseFromString((folder / SAVED_MODEL).read_bytes())
        self.graph = self.saved.meta_graphs[0]
        self.functions = {function.signature.name: function for function in self.graph.graph_def.library.function}
        self.skipped = False

    def called(self):
        """The names of the functions by which a model is called: its own, its signatures', and those that Keras keeps for itself."""
        nodes = self.graph.object_graph_def.nodes
        inner = [child.node_id for child in nodes[0].children if child.local_name in ("signatures", "keras_api")]
        for node in [0, *inner]:
            for child in nodes[node].children:
                found = nodes[child.node_id]
                yield from found.function.concrete_functions
                if found.bare_concrete_function.concrete_function_name:
                    yield found.bare_concrete_function.concrete_function_name

    def skip(self, function, result):
        source = function.ret[result]
        nodes = {node.name: node for node in function.node_def}
        while (name := source.split(":")[0]) in nodes:
            node = nodes[name]
            if node.op == self.activation:
                function.ret[result] = node.input[0]
                self.skipped = True
            elif node.op in CALLS:
                callee = self.functions[node.attr["f"].func.name]
                self.skip(callee, callee.signature.output_arg[int(source.split(":")[-1])].name)
            elif node.op == "Identity":
                source = node.input[0]
                continue
            return

    def write(self, copy):
        for name in set(self.called()) & set(self.functions):
            for result in list(self.functions[name].ret):
                self.skip(self.functions[name], result)
        if not self.skipped:
            raise ValueError(f"found no {self.activation} that makes a result of the functions of '{self.folder}'")
        copy.mkdir()
        for file in self.folder.iterdir():
            if file.name != SAVED_MODEL:
                (copy / file.name).symlink_to(file)
        (copy / SAVED_MODEL).write_bytes(self.saved.SerializeToString())


class Objective:
    """A loss of the model's output, whose gradients Python derives."""

    def __init__(self, job, model):
        self.model = model
        self.output = job["output"]
        self.training = job["mode"] == TRAINING
        self.name = job["loss"]
        self.activation = job["activation"]
        # An error of numbers knows no logits.
        logits = (job["from_logits"] or self.activation) and self.name != "mean_squared_error"
        self.arguments = {"from_logits": True} if logits else {}
        self.class_weights = job["class_weights"]
        self.has_gradient = [variable["has_gradient"] for variable in job["trained"]]

    def unactivated(self, output):
        """Layers that Keras made anew have the activation; the functions that the model brings, no longer."""
        if self.activation:
            output = getattr(output, "_keras_logits", output)
            if output.op.type == self.activation:
                output = output.op.inputs[0]
        return tf.cast(output, tf.float32) if output.dtype.size == 2 else output

    def losses(self, labels, output):
        """By position."""
        if self.name == "sparse_categorical_crossentropy":
            labels = tf.reshape(labels, tf.shape(output)[:-1])
        else:
            labels = tf.cast(tf.reshape(labels, tf.shape(output)), output.dtype)
        losses = getattr(tf_keras.losses, self.name)(labels, output, **self.arguments)
        if self.class_weights:
            classes = {
                "sparse_categorical_crossentropy": lambda: labels,
                "categorical_crossentropy": lambda: tf.argmax(labels, -1),
            }.get(self.name, lambda: tf.cast(tf.round(labels), tf.int64))()
            weights = tf.gather(tf.constant(self.class_weights, losses.dtype), tf.reshape(classes, [-1]))
            losses = tf.reshape(losses, [-1]) * weights
        return losses

    def __call__(self, features, labels, sample_weights, variables):
        with tf.GradientTape() as tape:
            output, own_losses = self.model(features, self.output, self.training)
            losses = self.losses(labels, self.unactivated(output))
            if sample_weights is not None:
                weights = tf.cast(tf.reshape(sample_weights, [-1, 1]), losses.dtype)
                losses = tf.reshape(losses, [tf.size(weights), -1]) * weights
            loss = tf.cast(tf.reduce_mean(losses), tf.float64) + sum(tf.cast(own, tf.float64) for own in own_losses)
        gradients = tape.gradient(loss, variables)
        return loss, [gradient if has else None for gradient, has in zip(gradients, self.has_gradient)]


class OwnGradients:
    """A signature that computes its own loss and gradients."""

    def __init__(self, model):
        self.signature = model.signature

    def __call__(self, features, labels, sample_weights, variables):
        weights = {} if sample_weights is None else {"sample_weights": sample_weights}
        results = self.signature(**features, labels=labels, **weights)
        return tf.cast(results["loss"], tf.float64), [results["gradient/" + v.name.removesuffix(":0")] for v in variables]


def plus(a, b):
    """The sum of two gradients; of sparse ones the rows of both, for clipping sees them before they are added up."""
    if isinstance(a, tf.IndexedSlices):
        values, indices = (tf.concat(parts, 0) for parts in [[a.values, b.values], [a.indices, b.indices]])
        return tf.IndexedSlices(values, indices, a.dense_shape)
    return None if a is None else a + b


class Training:
    """One run of a job, or of several parts."""

    def __init__(self, model, objective, variables, optimizer):
        self.model = model
        self.objective = objective
        self.variables = variables
        self.optimizer = optimizer
        optimizer.build(variables)

    @tf.function(reduce_retracing=True)
    def at_once(self, features, labels, sample_weights):
        loss, gradients = self.objective(features, labels, sample_weights, self.variables)
        self.optimizer.apply_gradients(zip(gradients, self.variables))
        return loss

    @tf.function(reduce_retracing=True)
    def part(self, features, labels, sample_weights, share):
        loss, gradients = self.objective(features, labels, sample_weights, self.variables)
        kind = lambda dtype: tf.float64 if dtype == tf.float64 else tf.float32
        scaled = lambda g: tf.math.scalar_mul(tf.cast(share, kind(g.dtype)), tf.cast(g, kind(g.dtype)))
        return loss * tf.cast(share, tf.float64), [None if g is None else scaled(g) for g in gradients]

    @tf.function
    def apply(self, gradients):
        pairs = [(None if g is None else tf.cast(g, v.dtype), v) for g, v in zip(gradients, self.variables)]
        self.optimizer.apply_gradients(pairs)

    def in_parts(self, parts):
        """A step of several parts, each with its share of the examples."""
        total, sums = 0.0, None
        for share, batch in parts:
            loss, gradients = self.part(*batch, tf.constant(share, tf.float32))
            total += float(loss)
            sums = gradients if sums is None else [plus(s, g) for s, g in zip(sums, gradients)]
        self.apply(sums)
        return total

    def finalize(self):
        self.optimizer.finalize_variable_values(self.variables)

    def disturb(self):
        random = np.random.default_rng(1)
        for variable in self.variables:
            size = 2.0**-9 if variable.dtype.size == 2 else 1e-7
            noise = 1 + size * random.normal(size=variable.shape)
            variable.assign(tf.cast(tf.cast(variable, tf.float64) * noise, variable.dtype))


def follow(root, path):
    for attribute in path:
        root = root._trackable_children()[attribute]
    return root


class Recording:
    def __init__(self, folder):
        self.job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        rows = folder / "rows.int32"
        self.rows = np.memmap(rows, "<i4", "r") if rows.exists() else []
        job = self.job
        self.features = {name: Rows(**source) for name, source in job["features"].items()}
        self.labels = Rows(**job["labels"])
        self.sample_weights = Rows(**job["sample_weights"]) if job["sample_weights"] else None

    def training(self, copy):
        """What does the job; `copy` is the folder of the model without its activation."""
        job = self.job
        folder = pathlib.Path(job["model"])
        if job["activation"]:
            Unactivated(folder, job["activation"]).write(copy)
            folder = copy
        own = job["kind"] == "gradients"
        model = SignatureModel(str(folder), job["signature"]) if own else load(folder, job["signature"])
        variables = [follow(model.root, variable["path"]) for variable in job["trained"]]
        optimizer = tf_keras.optimizers.Adafactor.from_config(job["optimizer"])
        kept = [variable for variable, described in zip(variables, job["trained"]) if not described["decays"]]
        if kept:
            optimizer.exclude_from_weight_decay(var_list=kept)
        return Training(model, OwnGradients(model) if own else Objective(job, model), variables, optimizer)

    def batch(self, rows):
        features = {name: values[rows] for name, values in self.features.items()}
        return features, self.labels[rows], None if self.sample_weights is None else self.sample_weights[rows]

    def check(self, training):
        """Makes the function of a step."""
        rows = np.arange(min(self.job["part_size"], len(self.labels)))
        training.at_once.get_concrete_function(*self.batch(rows))

    def steps(self):
        """The rows of each step."""
        start = 0
        for size in self.job["steps"]:
            yield np.array(self.rows[start : start + size])
            start += size

    def step(self, training, rows):
        size = self.job["part_size"]
        if max(self.job["steps"]) <= size:
            return float(training.at_once(*self.batch(rows)))
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        return training.in_parts((np.float32(len(part)) / np.float32(len(rows)), self.batch(part)) for part in parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--disturb", action="store_true")
    parser.add_argument("--snapshots", type=int, nargs="*")
    arguments = parser.parse_args()
    tf.get_logger().setLevel("ERROR")
    recording = Recording(arguments.recording)
    snapshots = recording.job["snapshots"] if arguments.snapshots is None else arguments.snapshots
    training = recording.training(arguments.out.with_name(arguments.out.name + "-model"))
    if arguments.check:
        recording.check(training)
        arguments.out.mkdir()
        return
    if arguments.disturb:
        training.disturb()
    checkpoint = tf.train.Checkpoint(model=training.model.root, optimizer=training.optimizer)
    arguments.out.mkdir()
    with (arguments.out / "losses.float64").open("wb", buffering=0) as losses:
        for done, rows in enumerate(recording.steps(), 1):
            losses.write(np.array(recording.step(training, rows), "<f8"))
            if done in snapshots:
                checkpoint.write(str(arguments.out / f"step-{done}"))
    if recording.job["ending"]:
        training.finalize()
        checkpoint.write(str(arguments.out / "end"))


if __name__ == "__main__":
    main()
