#!/usr/bin/env python3
"""Fine-tunes SavedModels with tf_keras's Adafactor: what `fine-tune` does in Java, done in Python.

    train_savedmodel.py JOB.json ...

export_models.py says what a job is; same_job.py, which the program has with it, says how one is done. finalize_variable_values comes
after the last step, as fit() does it.

Of NAME.json there comes NAME-python.npz: `losses`, float64 [steps], the loss of each step before its update; and of each variable, in the
model's own order, before/I and after/I. Where the job names undetermined variables, noise/I is after/I of a run whose trainable variables
were disturbed by 1e-7 of their values before the first step.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "main" / "python"))

from same_job import Objective, Rows, SignatureModel, Training, load, np, tf, tf_keras


def training_of(job, folder):
    model = load(folder / job["model"], job["signature"])
    optimizer = tf_keras.optimizers.Adafactor.from_config(job["optimizer"])
    if job["exclude"]:
        optimizer.exclude_from_weight_decay(var_names=job["exclude"])
    trained = [{"has_gradient": True} for _ in model.trainable_variables]
    objective = Objective({**job, "class_weights": None, "activation": None, "trained": trained}, model)
    return Training(model, objective, model.trainable_variables, optimizer)


def batches(job, folder):
    """The features by input, and the labels, of each step."""
    features = {name: Rows([folder / path]) for name, path in job["features"].items()}
    labels = Rows([folder / job["labels"]])
    count = labels.starts[-1]
    for start in range(0, count, job["batch_size"]):
        rows = np.arange(start, min(count, start + job["batch_size"]))
        yield {name: values[rows] for name, values in features.items()}, labels[rows]


def run(training, job, folder):
    """The losses of the steps."""
    losses = [float(training.at_once(*batch, None)) for batch in batches(job, folder)]
    training.finalize()
    return losses


def values(variables):
    return [variable.numpy() for variable in variables]


def main(files):
    tf.get_logger().setLevel("ERROR")
    for file in files:
        job = json.loads(file.read_text())
        training = training_of(job, file.parent)
        state = [*training.model.variables, *training.optimizer.variables]
        start = values(state)
        results = {"before": values(training.model.variables)}
        losses = run(training, job, file.parent)
        results["after"] = values(training.model.variables)
        if job["undetermined"]:
            for variable, value in zip(state, start):
                variable.assign(value)
            training.disturb()
            run(training, job, file.parent)
            results["noise"] = values(training.model.variables)
        arrays = {f"{when}/{i}": value for when, all_values in results.items() for i, value in enumerate(all_values)}
        np.savez(file.with_name(f"{file.stem}-python.npz"), losses=np.array(losses, np.float64), **arrays)
        print(f"{file.stem}: {len(losses)} steps, loss {losses[0]:.6f} -> {losses[-1]:.6f}", flush=True)


if __name__ == "__main__":
    main([pathlib.Path(argument) for argument in sys.argv[1:]])
