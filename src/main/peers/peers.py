#!/usr/bin/env python3
"""Takes steps of an optimizer and tells how long each took, for the command `bench`: `peers.py PEER`.

Lines on standard input, in this order:

    threads N
    dtype float32
    variable ROWS DIMENSIONS…   each variable; ROWS of a sparse gradient, 0 for a dense one
    build                       makes variables, gradients and optimizer, and takes the first four steps
    steps N                     takes N more steps
    values                      for tests: all elements of all variables

To the last three it answers by a line of JSON: an object as in `build` below; milliseconds of each step; numbers. Values and
gradients are numbers that every peer computes the same way; the gradients are in memory before a step, and the same in every step.
"""

import ctypes
import importlib.metadata
import json
import os
import pathlib
import sys
import time

# What libraries print must not get between the answers.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np


# After the first one, for the memory that a step takes.
MEASURED_STEPS = 3


class Variable:
    def __init__(self, number, rows, shape):
        self.first = number * 7919 % 2**20
        self.rows = rows
        self.shape = shape

    def numbers(self, shape, a, b):
        i = np.arange(self.first, self.first + int(np.prod(shape, dtype=np.int64)), dtype=np.uint32)
        bits = i * (i * np.uint32(b) + np.uint32(a))
        return (bits.view(np.int32).astype(np.float32) * np.float32(2**-32)).reshape(shape)

    def value(self):
        return self.numbers(self.shape, 0x9E3779B1, 0x2C1B3C6C)

    def gradient(self):
        """The gradient, or the rows of a sparse one."""
        return self.numbers((self.rows, *self.shape[1:]) if self.rows else self.shape, 0x85EBCA6B, 0xC2B2AE34)

    def indices(self):
        """Of the rows of a sparse gradient: like words of a text, some more often than others."""
        u = (np.arange(self.rows, dtype=np.uint32) * np.uint32(0x9E3779B1)) * 2.0**-32
        return (self.shape[0] * (u * u)).astype(np.int32)


def version(package):
    return f"{package} {importlib.metadata.version(package)}"


def status(field):
    """In bytes, of this process's memory."""
    return 1024 * int(pathlib.Path("/proc/self/status").read_text().split(field + ":")[1].split()[0])


def growth(step):
    """How far the process's memory grows in a step beyond what it holds before; None where that cannot be seen."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # begins the peak anew
        before = status("VmRSS")
    except (OSError, AttributeError):
        before = None
    for _ in range(MEASURED_STEPS):
        step()
    return None if before is None else max(0, status("VmHWM") - before)


class TfKeras:
    def __init__(self, variables, threads, dtype, optimizer, jit_compile=False):
        import tensorflow as tf
        import tf_keras

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.version = f"{version('tf_keras')}, {version('tensorflow')}"
        self.variables = [tf.Variable(tf.cast(v.value(), dtype)) for v in variables]
        gradients = [tf.Variable(tf.cast(v.gradient(), dtype), trainable=False) for v in variables]
        indices = [tf.Variable(v.indices(), trainable=False) if v.rows else None for v in variables]

        def gradient(values, rows, variable):
            values = tf.convert_to_tensor(values)
            return values if rows is None else tf.IndexedSlices(values, tf.convert_to_tensor(rows), dense_shape=variable.shape)

        self.optimizer = getattr(tf_keras.optimizers, optimizer)(learning_rate=1e-3)
        self.optimizer.build(self.variables)

        @tf.function(jit_compile=jit_compile)
        def step():
            read = [gradient(*each) for each in zip(gradients, indices, self.variables)]
            self.optimizer.apply_gradients(zip(read, self.variables))

        self.step = step
        self.memory = tf.config.experimental

    def peak_transient_bytes(self):
        """TensorFlow keeps memory that it has had once, so its own account is asked."""
        self.memory.reset_memory_stats("CPU:0")
        before = self.memory.get_memory_info("CPU:0")["current"]
        for _ in range(MEASURED_STEPS):
            self.step()
        return self.memory.get_memory_info("CPU:0")["peak"] - before

    def state_bytes(self):
        return sum(v.shape.num_elements() * v.dtype.size for v in self.optimizer.variables)

    def values(self):
        return [v.numpy() for v in self.variables]


class Optax:
    """Every argument as near to tf_keras's as it can be: all matrices factored, beta2 = 1 - t^-0.8, updates relative to the rms of
    the variable. Of more than two dimensions optax factors the two largest, not the last two."""

    def __init__(self, variables, threads, dtype):
        import jax
        import jax.numpy as jnp
        import optax

        if dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        self.version = f"{version('optax')}, {version('jax')}"
        self.block = jax.block_until_ready
        self.variables = [jnp.asarray(v.value(), dtype=dtype) for v in variables]
        self.gradients = [jnp.asarray(v.gradient(), dtype=dtype) for v in variables]
        self.indices = [jnp.asarray(v.indices()) if v.rows else None for v in variables]
        optimizer = optax.adafactor(learning_rate=1e-3, min_dim_size_to_factor=1, decay_rate=0.8, multiply_by_parameter_scale=True, clipping_threshold=1.0, eps=1e-30)
        self.state = jax.jit(optimizer.init)(self.variables)

        def dense(gradient, rows, variable):
            return gradient if rows is None else jnp.zeros_like(variable).at[rows].add(gradient)

        def update(variables, state, gradients, indices):
            gradients = [dense(*each) for each in zip(gradients, indices, variables)]
            updates, state = optimizer.update(gradients, state, variables)
            return optax.apply_updates(variables, updates), state

        self.update = jax.jit(update, donate_argnums=(0, 1))
        self.leaves = jax.tree_util.tree_leaves

    def step(self):
        self.variables, self.state = self.update(self.variables, self.state, self.gradients, self.indices)
        self.block((self.variables, self.state))

    def peak_transient_bytes(self):
        return growth(self.step)

    def state_bytes(self):
        return sum(leaf.size * leaf.dtype.itemsize for leaf in self.leaves(self.state))

    def values(self):
        return [np.asarray(v) for v in self.variables]


class Torch:
    """torch.optim.Adafactor takes no sparse gradients: theirs are summed into dense ones, which is part of a step."""

    def __init__(self, variables, threads, dtype, foreach):
        import torch

        torch.set_num_threads(threads)
        self.version = version("torch")
        self.torch = torch
        dtype = getattr(torch, dtype)
        self.variables = [torch.nn.Parameter(torch.from_numpy(v.value()).to(dtype)) for v in variables]
        self.sparse = []
        for variable, v in zip(self.variables, variables):
            gradient = torch.from_numpy(v.gradient()).to(dtype)
            if v.rows:
                self.sparse.append((variable, torch.from_numpy(v.indices()), gradient))
            else:
                variable.grad = gradient
        self.optimizer = torch.optim.Adafactor(self.variables, lr=1e-3, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, foreach=foreach)

    def step(self):
        for variable, rows, gradient in self.sparse:
            variable.grad = self.torch.zeros_like(variable).index_add_(0, rows, gradient)
        self.optimizer.step()

    def peak_transient_bytes(self):
        return growth(self.step)

    def state_bytes(self):
        tensors = [t for state in self.optimizer.state.values() for t in state.values() if self.torch.is_tensor(t)]
        return sum(t.numel() * t.element_size() for t in tensors)

    def values(self):
        return [v.detach().numpy() for v in self.variables]


PEERS = {
    "tf_keras": lambda *given: TfKeras(*given, "Adafactor"),
    "tf_keras_jit": lambda *given: TfKeras(*given, "Adafactor", jit_compile=True),
    "tf_keras_adam": lambda *given: TfKeras(*given, "Adam"),
    "optax": Optax,
    "torch": lambda *given: Torch(*given, foreach=False),
    "torch_foreach": lambda *given: Torch(*given, foreach=True),
}


def milliseconds(action):
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1e3


def build(peer, variables, threads, dtype):
    start = time.perf_counter()
    made = PEERS[peer](variables, threads, dtype)
    built = time.perf_counter() - start
    first = milliseconds(made.step)
    answer = {
        "version": made.version,
        "state_bytes": made.state_bytes(),
        "build_ms": built * 1e3,
        "first_step_ms": first,
        "peak_transient_bytes": made.peak_transient_bytes(),
    }
    return made, answer


def main():
    peer = sys.argv[1]
    threads, dtype, variables, made = 1, "float32", [], None
    for line in sys.stdin:
        command, *words = line.split()
        answer = None
        if command == "threads":
            threads = int(words[0])
            # Before any library is loaded, which looks at how many processors there are.
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        elif command == "dtype":
            dtype = words[0]
        elif command == "variable":
            variables.append(Variable(len(variables), int(words[0]), tuple(int(word) for word in words[1:])))
        elif command == "build":
            made, answer = build(peer, variables, threads, dtype)
        elif command == "steps":
            answer = [milliseconds(made.step) for _ in range(int(words[0]))]
        elif command == "values":
            answer = [float(x) for value in made.values() for x in value.reshape(-1)]
        if answer is not None:
            print(json.dumps(answer), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
