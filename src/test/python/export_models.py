#!/usr/bin/env python3
"""Makes small SavedModels of many kinds, untrained, each with data and a description of a job that trains it.

    export_models.py FOLDER [--only NAME ...] [--sample SEED]

With --sample some are drawn by the seed, but one of those that take long. FOLDER/NAME.json is the job, all paths in it
relative to FOLDER:

    model, signature      the SavedModel's folder; the signature's name
    features, labels      .npy files, the features by the name of their input; what is not finite or ties in a max pooling is not drawn
    loss, from_logits     a name of tf_keras.losses, and whether it takes logits
    output                the output that the loss is taken of; null where there is but one
    batch_size            the rows of a step, in the order of the files; one epoch is STEPS steps
    mode                  "inference" or "training"; where a model is trained both ways, NAME_training.json is the second job
    optimizer, exclude    a part of Adafactor's get_config(); regular expressions for exclude_from_weight_decay
    numerics              "stable" or "tf_keras"
    undetermined          a regular expression: variables whose gradient is nothing but rounding, so that tf_keras parts from itself
"""

import argparse
import json
import os
import pathlib
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
import tf_keras

BATCH = 8
STEPS = 21
ROWS = BATCH * (STEPS - 1) + 3  # the last batch is a smaller one
layers = tf_keras.layers
BOTH = ("inference", "training")
schedules = tf_keras.optimizers.schedules
rng = np.random.default_rng(1)
JOBS = {}
LONG = set()

# How many of the others are in a sample.
SHORT = 10


def job(modes=("inference",), long=False, **description):
    """The jobs of a function that returns: what writes the SavedModel, the features by input, the labels."""

    def register(make):
        JOBS[make.__name__] = (make, modes, description)
        if long:
            LONG.add(make.__name__)
        return make

    return register


def normal(*shape):
    return rng.normal(size=(ROWS, *shape)).astype(np.float32)


def classes(count, *shape):
    return rng.integers(0, count, (ROWS, *shape)).astype(np.int32)


def one_hot(count):
    return np.eye(count, dtype=np.float32)[classes(count)]


def padded(values):
    """Sequences of different lengths: zeros follow."""
    lengths = rng.integers(2, values.shape[1] + 1, ROWS)
    values[np.arange(values.shape[1]) >= lengths[:, None]] = 0
    return values


def saved(model):
    return lambda folder: model.save(folder, save_format="tf")


def exported(model):
    return lambda folder: model.export(folder)


def module(model, **signatures):
    return lambda folder: tf.saved_model.save(model, folder, signatures)


def fitted(model, x, y, **arguments):
    """With moving statistics that are not those of the start."""
    model.compile("adam", **arguments)
    model.fit(x, y, verbose=0)
    return model


@job(optimizer={"learning_rate": 0.05, "weight_decay": 0.01}, exclude=["bias"])
def mlp():
    """By model.export: signatures alone, nothing for tf_keras to load."""
    model = tf_keras.Sequential(
        [layers.Input([5], name="x"), layers.Dense(8, "relu"), layers.Dense(3, "softmax")]
    )
    return exported(model), {"x": normal(5)}, classes(3)


@job(optimizer={"learning_rate": 0.1, "epsilon_2": 0.01, "relative_step": False})
def float64():
    model = tf_keras.Sequential(
        [
            layers.Input([5], name="x", dtype="float64"),
            layers.Dense(8, "tanh", dtype="float64"),
            layers.Dense(3, "softmax", dtype="float64"),
        ]
    )
    return saved(model), {"x": normal(5).astype(np.float64)}, classes(3)


@job(modes=BOTH, optimizer={"learning_rate": 0.03, "global_clipnorm": 0.5})
def cnn():
    """With batch normalization, compiled."""
    model = tf_keras.Sequential(
        [
            layers.Input([8, 8, 1], name="x"),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(scale=False, momentum=0.9),
            layers.Activation("swish"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax"),
        ]
    )
    x, y = normal(8, 8, 1), classes(3)
    fitted(model, x, y, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return saved(model), {"x": x}, y


# What a normalization shifts by, the next one takes out again.
@job(
    modes=["training"],
    long=True,
    optimizer={"learning_rate": 0.003},
    undetermined="(project/BatchNorm/beta|(expand|Conv_1)/BatchNorm/moving_mean)$",
)
def mobilenet():
    """One that tf_keras brings: depthwise convolutions, squeeze and excitation, hard swish."""
    model = tf_keras.applications.MobileNetV3Small((64, 64, 3), weights=None, classes=3, dropout_rate=0.0)
    return saved(model), {model.input_names[0]: 50 * normal(64, 64, 3) + 100}, classes(3)


@job(from_logits=True, optimizer={"learning_rate": 0.02, "clipnorm": 0.1, "beta_2_decay": -0.5})
def convolutions():
    """Depthwise, separable, dilated, grouped, transposed and strided ones."""
    model = tf_keras.Sequential(
        [
            layers.Input([12, 12, 4], name="image"),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
            layers.Activation("gelu"),
            layers.Conv2D(6, 3, dilation_rate=2, padding="same", activation="elu"),
            layers.Conv2D(6, 3, dilation_rate=(2, 1), activation="tanh"),
            layers.SeparableConv2D(8, 3, strides=2, padding="same", activation="swish"),
            layers.Conv2D(8, 3, groups=2, padding="same"),
            layers.Conv2DTranspose(4, 3, strides=2, activation="tanh"),
            layers.ZeroPadding2D(1),
            layers.AveragePooling2D(),
            layers.Flatten(),
            layers.Dense(4, name="logits"),
        ]
    )
    return exported(model), {"image": normal(12, 12, 4)}, classes(4)


@job(loss="mean_squared_error", optimizer={"learning_rate": schedules.ExponentialDecay(0.05, 5, 0.8)})
def autoencoder():
    """A regression of whole images, with normalizations other than that of the batch."""
    image = layers.Input([8, 8, 2], name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same")(image)
    x = layers.GroupNormalization(4)(x)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same")(x)
    x = layers.LayerNormalization()(x)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.Conv2DTranspose(2, 3, strides=2, padding="same")(x)
    images = normal(8, 8, 2)
    return saved(tf_keras.Model(image, x)), {"image": images}, images


def encoder(dropout):
    """Two blocks over padded sequences."""
    ids = layers.Input([10], dtype="int32", name="ids")
    positions = layers.Embedding(10, 16)(tf.zeros_like(ids) + tf.range(10))
    x = layers.Add()([layers.Embedding(20, 16, mask_zero=True)(ids), positions])
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 8, dropout=dropout)(x, x)
        x = layers.LayerNormalization()(layers.Add()([x, layers.Dropout(dropout)(attended)]))
        hidden = layers.Dense(16)(layers.Dense(32, "gelu")(x))
        x = layers.LayerNormalization()(layers.Add()([x, layers.Dropout(dropout)(hidden)]))
    logits = layers.Dense(3, name="logits")(layers.GlobalAveragePooling1D()(x))
    return saved(tf_keras.Model(ids, logits)), {"ids": padded(1 + classes(19, 10))}, classes(3)


# A key's bias moves all scores alike, and softmax takes that out again.
KEY_BIAS = "/key/bias"


@job(
    long=True,
    from_logits=True,
    optimizer={
        "learning_rate": schedules.CosineDecay(0.02, 20, warmup_target=0.03, warmup_steps=4),
        "use_ema": True,
        "ema_momentum": 0.8,
        "ema_overwrite_frequency": 6,
    },
    undetermined=KEY_BIAS,
)
def transformer():
    return encoder(dropout=0.1)


@job(modes=["training"], long=True, from_logits=True, optimizer={"learning_rate": 0.01}, undetermined=KEY_BIAS)
def transformer_without_dropout():
    return encoder(dropout=0.0)


@job(modes=BOTH, optimizer={"learning_rate": 0.03, "weight_decay": 0.01})
def regularized():
    """With losses of its own, of weights and of activities."""
    ids = layers.Input([4], dtype="int32", name="ids")
    x = layers.Flatten()(layers.Embedding(9, 5, embeddings_regularizer="l2")(ids))
    x = layers.Dense(8, "tanh", kernel_regularizer="l1_l2", bias_regularizer="l1", activity_regularizer="l2")(x)
    x = layers.BatchNormalization(gamma_regularizer="l2", momentum=0.8)(x)
    x = layers.ActivityRegularization(l1=0.01)(x)
    model = tf_keras.Model(ids, layers.Dense(3, "softmax", kernel_regularizer="l2")(x))
    model.add_loss(0.1 * tf.reduce_mean(tf.square(x)))
    return saved(model), {"ids": classes(9, 4)}, classes(3)


@job(modes=BOTH, long=True, loss="binary_crossentropy", optimizer={"learning_rate": 0.05, "clipvalue": 0.01})
def lstm():
    """Over padded sequences, to one probability. What is saved for training does not have the masks."""
    model = tf_keras.Sequential(
        [
            layers.Input([7, 3], name="sequence"),
            layers.Masking(),
            layers.LSTM(8, return_sequences=True),
            layers.LSTM(6),
            layers.Dense(1, "sigmoid"),
        ]
    )
    return saved(model), {"sequence": padded(normal(7, 3))}, classes(2, 1)


def bidirectional(write, length):
    """Over any number of positions."""
    model = tf_keras.Sequential(
        [
            layers.Input([None], name="ids", dtype="int64"),
            layers.Embedding(20, 8, mask_zero=True),
            layers.Bidirectional(layers.GRU(6)),
            layers.Dense(2),
        ]
    )
    ids = padded(1 + classes(19, length))
    return write(model), {"ids": ids.astype(np.int64)}, normal(2)


@job(long=True, loss="mean_squared_error", optimizer={"learning_rate": 0.05, "clip_threshold": 0.5})
def gru():
    return bidirectional(saved, 6)


@job(long=True, loss="mean_squared_error", optimizer={"learning_rate": 0.05}, numerics="tf_keras")
def gru_of_other_length():
    """By model.export, and over longer sequences."""
    return bidirectional(exported, 11)


def image_and_number():
    """A functional model of two inputs and two outputs."""
    image = layers.Input([6, 6, 1], name="image")
    number = layers.Input([], dtype="int32", name="number")
    seen = layers.Flatten()(layers.Conv2D(4, 3, activation="tanh")(image))
    x = layers.Concatenate()([seen, layers.Embedding(10, 6)(number)])
    x = layers.Dense(12, "relu")(x)
    kind = layers.Dense(4, "softmax", name="kind")(x)
    size = layers.Dense(1, name="size")(x)
    return tf_keras.Model([image, number], [kind, size])


@job(
    loss="categorical_crossentropy",
    output="output_0",
    optimizer={"learning_rate": schedules.PiecewiseConstantDecay([5, 12], [0.05, 0.02, 0.01])},
)
def first_output():
    return exported(image_and_number()), {"image": normal(6, 6, 1), "number": classes(10)}, one_hot(4)


@job(loss="mean_squared_error", output="size", optimizer={"learning_rate": 0.02, "weight_decay": 0.1})
def second_output():
    return saved(image_and_number()), {"image": normal(6, 6, 1), "number": classes(10)}, normal(1)


WORDS = ["red", "green", "blue", "très", "schön", "ok"]


class Words(tf.Module):
    """The mean of the words' vectors, looked up in a table."""

    def __init__(self):
        super().__init__()
        keys = tf.lookup.KeyValueTensorInitializer(WORDS, tf.range(1, len(WORDS) + 1))
        self.table = tf.lookup.StaticHashTable(keys, 0)
        self.vectors = tf.Variable(rng.normal(size=(len(WORDS) + 1, 5)), dtype=tf.float32, name="vectors")
        self.kernel = tf.Variable(rng.normal(size=(5, 3)), dtype=tf.float32, name="kernel")

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.string, name="words")])
    def serve(self, words):
        vectors = tf.gather(self.vectors, self.table.lookup(words))
        return {"logits": tf.reduce_mean(vectors, 1) @ self.kernel}


@job(from_logits=True, optimizer={"learning_rate": 0.1})
def words():
    model = Words()
    return module(model, serving_default=model.serve), {"words": rng.choice([*WORDS, "?"], (ROWS, 4))}, classes(3)


@job(loss="binary_crossentropy", from_logits=True, optimizer={"learning_rate": 0.05})
def sentences():
    """Whole sentences, split and looked up by the model."""
    split = layers.TextVectorization(vocabulary=WORDS, output_sequence_length=5)
    model = tf_keras.Sequential(
        [
            layers.Input([1], dtype="string", name="sentence"),
            split,
            layers.Embedding(split.vocabulary_size(), 6, mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1),
        ]
    )
    sentences = [" ".join(["Very", *rng.choice([*WORDS, "What", "!"], rng.integers(1, 8))]) for _ in range(ROWS)]
    return saved(model), {"sentence": np.array(sentences)[:, None]}, classes(2, 1)


@job(
    loss="mean_squared_error",
    optimizer={"learning_rate": schedules.PolynomialDecay(0.05, 10, 0.01, power=2.0), "use_ema": True},
)
def shared():
    """Two inputs through the same layers, and an embedding that is read out by its own transpose."""
    left, right = layers.Input([4], name="left"), layers.Input([4], name="right")
    hidden = layers.Dense(6, "tanh", name="hidden")
    top = layers.Dense(5, name="top")
    a, b = (top(hidden(side)) for side in [left, right])
    distance = layers.Dot(1, normalize=True)([a, b])
    x = layers.Concatenate()([distance, hidden(layers.Subtract()([left, right]))])
    return saved(tf_keras.Model([left, right], layers.Dense(1)(x))), {"left": normal(4), "right": normal(4)}, normal(1)


class Tabular(tf.Module):
    """Of plain variables: one not trained, one of whole numbers, one of rank 0, and two of one name."""

    def __init__(self):
        super().__init__()
        self.mean = tf.Variable([0.1, -0.2, 0.3], trainable=False, name="mean")
        self.calls = tf.Variable(7, dtype=tf.int64, trainable=False, name="calls")
        self.scale = tf.Variable(1.5, name="scale")
        self.first = tf.Variable(rng.normal(size=(3, 4)), dtype=tf.float32, name="kernel")
        self.second = tf.Variable(rng.normal(size=(4, 2, 2)), dtype=tf.float32, name="kernel")

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="row"), tf.TensorSpec([None, 3], tf.bool, name="known")])
    def score(self, row, known):
        x = tf.where(known, row, self.mean) - self.mean
        hidden = tf.nn.softplus(x @ self.first) * self.scale
        if tf.reduce_sum(hidden) > 0.0:
            hidden = hidden / (1.0 + tf.reduce_max(hidden))
        scores = tf.einsum("bi,ijk->bjk", hidden, self.second)
        return {"scores": scores, "calls": tf.cast(self.calls, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="row")])
    def hide(self, row):
        return {"hidden": row @ self.first}


@job(signature="score", output="scores", from_logits=True, optimizer={"learning_rate": 0.05, "weight_decay": 0.05}, exclude=["^kernel", "^scale$"])
def tabular():
    model = Tabular()
    rows = {"row": normal(3), "known": rng.random((ROWS, 3)) < 0.7}
    return module(model, hide=model.hide, score=model.score), rows, classes(2, 2)


class Normalizing(tf.Module):
    """With a function that has an argument `training`."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(rng.normal(size=(5, 3)), dtype=tf.float32, name="kernel")
        self.mean = tf.Variable(tf.zeros([5]), trainable=False, name="mean")

    @tf.function
    def __call__(self, x, training=False):
        if training:
            mean = tf.reduce_mean(x, 0)
            self.mean.assign(0.9 * self.mean + 0.1 * mean)
        else:
            mean = tf.identity(self.mean)
        return (x - mean) @ self.kernel


@job(modes=BOTH, from_logits=True, optimizer={"learning_rate": 0.05})
def normalizing():
    model = Normalizing()
    spec = tf.TensorSpec([None, 5], name="x")
    model.__call__.get_concrete_function(spec, training=True)
    return module(model, serving_default=model.__call__.get_concrete_function(spec, training=False)), {"x": 1 + normal(5)}, classes(3)


@job(modes=BOTH, optimizer={"learning_rate": 0.05})
def mixed():
    """float32 variables, computed with in bfloat16."""
    policy = tf_keras.mixed_precision.Policy("mixed_bfloat16")
    model = tf_keras.Sequential(
        [
            layers.Input([16], name="x"),
            layers.Dense(16, use_bias=False, dtype=policy),
            layers.BatchNormalization(dtype=policy),
            layers.Activation("tanh", dtype=policy),
            layers.Dense(16, "relu", dtype=policy),
            layers.Dense(4, "softmax", dtype="float32"),
        ]
    )
    return saved(model), {"x": normal(16)}, classes(4)


class Preprocessed(tf_keras.Model):
    """A subclass: tf_keras loads it without its class."""

    def __init__(self, means):
        super().__init__()
        self.normalized = layers.Normalization(mean=means, variance=[1.0, 4.0, 0.25])
        self.bins = layers.Discretization([-1.0, 0.0, 1.0])
        self.vectors = layers.Embedding(4, 3)
        self.dense = layers.Dense(2, "softmax")

    def call(self, row):
        binned = tf.reshape(self.vectors(self.bins(row)), [-1, 9])
        return self.dense(tf.concat([self.normalized(row), binned], -1))


@job(optimizer={"learning_rate": 0.05, "relative_step": False}, loss="categorical_crossentropy")
def subclassed():
    model = Preprocessed([0.5, -1.0, 0.0])
    row = normal(3)
    model.predict(row[:2], verbose=0)
    return saved(model), {"input_1": row}, one_hot(2)


@job(optimizer={"learning_rate": 0.03, "weight_decay": 0.004})
def keras3():
    """A CNN of Keras 3."""
    model = keras.Sequential(
        [
            keras.layers.Input([8, 8, 1], name="image"),
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("silu"),
            keras.layers.DepthwiseConv2D(3, dilation_rate=2),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    x, y = normal(8, 8, 1), classes(3)
    fitted(model, x, y, loss="sparse_categorical_crossentropy")
    return exported(model), {"image": x}, y


@job(long=True, from_logits=True, optimizer={"learning_rate": 0.03}, undetermined=KEY_BIAS)
def keras3_sequences():
    """Recurrent layers and attention of Keras 3."""
    ids = keras.layers.Input([6], dtype="int32", name="ids")
    x = keras.layers.Embedding(20, 8, mask_zero=True)(ids)
    x = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))(x)
    x = keras.layers.LayerNormalization()(x + keras.layers.MultiHeadAttention(2, 4)(x, x))
    x = keras.layers.GRU(6)(x)
    model = keras.Model(ids, keras.layers.Dense(3)(x))
    return exported(model), {"ids": padded(1 + classes(19, 6))}, classes(3)


@job(modes=BOTH, from_logits=True, optimizer={"learning_rate": 0.05, "clipnorm": 0.01})
def shared_words():
    """Two inputs that share an embedding. Clipping sees the rows of equal words before they are added up."""
    left, right = layers.Input([6], dtype="int32", name="left"), layers.Input([], dtype="int64", name="right")
    embedding = layers.Embedding(9, 5, mask_zero=True)
    of_left = layers.GlobalAveragePooling1D()(embedding(left))
    x = layers.Concatenate()([of_left, embedding(right)])
    ids = {"left": padded(1 + classes(8, 6)), "right": classes(9).astype(np.int64)}
    return saved(tf_keras.Model([left, right], layers.Dense(3)(x))), ids, classes(3)


class Bag(tf.Module):
    """The means of bags of words, some of them empty, and a word's weight from a vector."""

    def __init__(self):
        super().__init__()
        self.vectors = tf.Variable(rng.normal(size=(8, 2, 3)), dtype=tf.float32, name="vectors")
        self.weights = tf.Variable(rng.normal(size=(8,)), dtype=tf.float32, name="weights")
        self.kernel = tf.Variable(rng.normal(size=(6, 3)), dtype=tf.float32, name="kernel")

    @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.int64, name="words")])
    def serve(self, words):
        present = tf.RaggedTensor.from_tensor(words, padding=0)
        vectors = tf.gather(self.vectors, present.values) * tf.gather(self.weights, present.values)[:, None, None]
        means = tf.math.divide_no_nan(
            tf.math.unsorted_segment_sum(vectors, present.value_rowids(), present.nrows()),
            tf.cast(present.row_lengths(), tf.float32)[:, None, None],
        )
        return {"logits": tf.reshape(means, [-1, 6]) @ self.kernel}


@job(from_logits=True, optimizer={"learning_rate": 0.1, "global_clipnorm": 0.05})
def bag():
    model = Bag()
    words = padded(1 + classes(7, 5)) * classes(2, 1)
    return module(model, serving_default=model.serve), {"words": words.astype(np.int64)}, classes(3)


@job(from_logits=True, optimizer={"learning_rate": 0.05, "clipnorm": 0.01})
def keras3_words():
    """An embedding of Keras 3, beside one that is read out by its transpose."""
    ids = keras.layers.Input([6], dtype="int32", name="ids")
    tied = keras.layers.Embedding(7, 4)
    x = keras.layers.Concatenate()([keras.layers.Embedding(7, 4, mask_zero=True)(ids), tied(ids)])
    hidden = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(4, "tanh")(x))
    logits = keras.layers.Lambda(lambda h: h @ keras.ops.transpose(tied.embeddings), output_shape=(7,))(hidden)
    return exported(keras.Model(ids, logits)), {"ids": classes(7, 6)}, classes(7)


def config(optimizer):
    """Schedules as get_config() has them."""
    return {
        name: tf_keras.optimizers.schedules.serialize(value) if isinstance(value, schedules.LearningRateSchedule) else value
        for name, value in optimizer.items()
    }


def write(folder, name):
    make, modes, description = JOBS[name]
    tf_keras.utils.set_random_seed(1)
    write_model, features, labels = make()
    write_model(str(folder / name))
    files = {"labels": labels, **features}
    for part, values in files.items():
        np.save(folder / f"{name}-{part}.npy", values)
    whole = {
        "model": name,
        "signature": "serving_default",
        "features": {part: f"{name}-{part}.npy" for part in features},
        "labels": f"{name}-labels.npy",
        "loss": "sparse_categorical_crossentropy",
        "from_logits": False,
        "output": None,
        "batch_size": BATCH,
        "exclude": [],
        "numerics": "stable",
        "undetermined": None,
        **description,
        "optimizer": {"epsilon_1": 1e-16, **config(description["optimizer"])},
    }
    for mode in modes:
        file = folder / (f"{name}.json" if mode == modes[0] else f"{name}_{mode}.json")
        file.write_text(json.dumps({**whole, "mode": mode}, indent=2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--sample", type=int)
    arguments = parser.parse_args()
    tf.get_logger().setLevel("ERROR")
    names = arguments.only
    if arguments.sample is not None:
        draw = random.Random(arguments.sample)
        drawn = draw.sample(sorted(LONG), 1) + draw.sample(sorted(set(names) - LONG), SHORT)
        names = [name for name in names if name in drawn]
    for name in names:
        write(arguments.folder, name)


if __name__ == "__main__":
    main()
