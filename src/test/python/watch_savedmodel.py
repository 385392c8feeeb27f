#!/usr/bin/env python3
"""Fine-tunes a SavedModel with tf_keras's Adafactor and computes in numpy, step by step, the numbers that its formulas pass by.

    watch_savedmodel.py JOB.json OUT.json

export_models.py says what a job is. tf_keras gives the gradients and takes the steps; what is written comes of these gradients, in float64:
{tag: [[step, value], ...]} as read_events.py writes it, with values and changes as [min, max, sum, sum of squares, counts of 30 buckets].
"""

import collections
import json
import pathlib
import sys

import numpy as np
from train_savedmodel import batches, training_of


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


def distribution(x):
    counts, _ = np.histogram(x, bins=30)
    return [float(x.min()), float(x.max()), float(x.sum()), float(np.square(x).sum()), counts.tolist()]


class Formulas:
    """tf_keras's update_step for one variable."""

    def __init__(self, config, shape):
        self.config = config
        self.factored = len(shape) >= 2
        self.r, self.c, self.v = 0.0, 0.0, 0.0

    def step(self, t, w, g):
        config = self.config
        rho = min(config["learning_rate"], 1 / np.sqrt(t))
        beta2 = 1 - t ** config["beta_2_decay"]
        alpha = max(config["epsilon_2"], rms(w)) * rho
        square = np.square(g) + config["epsilon_1"]
        if self.factored:
            self.r = beta2 * self.r + (1 - beta2) * square.mean(-1)
            self.c = beta2 * self.c + (1 - beta2) * square.mean(-2)
            v = (self.r / self.r.mean(-1, keepdims=True))[..., None] * self.c[..., None, :]
        else:
            v = self.v = beta2 * self.v + (1 - beta2) * square
        u = g / np.sqrt(v)
        clipped = rms(u) > config["clip_threshold"]
        return {"rho": float(rho), "beta2": beta2, "alpha": float(alpha), "rms_update": rms(u), "rms_variable": rms(w), "clipped": float(clipped)}


def main(file, out):
    job = json.loads(file.read_text())
    training = training_of(job, file.parent)
    config = training.optimizer.get_config()
    variables = training.model.trainable_variables
    formulas = [Formulas(config, variable.shape) for variable in variables]
    written = collections.defaultdict(list)
    for t, batch in enumerate(batches(job, file.parent), 1):
        _, gradients = training.objective(*batch, None, variables)
        before = [np.float64(variable.numpy()) for variable in variables]
        training.at_once(*batch, None)
        for variable, formula, w, g in zip(variables, formulas, before, gradients):
            decayed = w - w * (config["weight_decay"] or 0) * config["learning_rate"]
            numbers = formula.step(t, decayed, np.float64(g.numpy()))
            after = np.float64(variable.numpy())
            for name in ("alpha", "rms_update", "rms_variable", "clipped"):
                written[f"adafactor_{name}/{variable.name[:-2]}"].append([t, numbers[name]])
            written[f"adafactor_values/{variable.name[:-2]}"].append([t, distribution(after)])
            written[f"adafactor_changes/{variable.name[:-2]}"].append([t, distribution(after - w)])
        for name in ("rho", "beta2"):
            written[f"adafactor/{name}"].append([t, numbers[name]])
    out.write_text(json.dumps(written))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
