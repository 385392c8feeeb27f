"""Exports tf_keras models by model.save, with what they compute in training and in inference.

    python training.py FOLDER [--only NAME ...] [--sample SEED]

All models, those of the names, or a random half.
Beside each model NAME lies NAME.json with a batch and, for both modes, the results, the sum of the losses that the model carries, and the
gradients of sum(results * cotangent) + losses; and the values that other variables have after two training steps without an optimizer.
Models that draw random numbers have no values for training, and float64: a finite difference is compared with in place of Python's numbers.
"""

import argparse
import inspect
import json
import os
from random import Random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras
from gradients import normal, numbers

L = tf_keras.layers


def sequential(shape, *layers, dtype="float32"):
    return tf_keras.Sequential([L.Input(shape, dtype=dtype), *layers])


def image(layer, *layers):
    """A layer on images that draws from a generator, in float32 as it knows no other. All is linear in the weights."""
    return sequential([6, 5, 3], L.Conv2D(3, 1), layer, *layers), [(4, 6, 5, 3)]


def random(shape, *layers):
    """A model in float64 that draws random numbers. Its first layer has weights, whatever the others have."""
    return sequential(shape, L.Dense(shape[-1]), *layers, dtype="float64")


def two_inputs():
    """A model whose inputs and outputs are not in the order of their names, and whose losses are of all kinds."""
    a, b = L.Input([4], name="zeta"), L.Input([4], name="alpha")
    h = L.Dense(3, kernel_regularizer="l2", activity_regularizer="l1")(a)
    h = L.BatchNormalization()(h)
    g = L.Dense(3, bias_regularizer="l1_l2")(b)
    model = tf_keras.Model([a, b], [L.Add(name="y")([h, g]), L.Dense(2, name="another")(g)])
    model.add_loss(tf.reduce_mean(tf.square(h)))
    return model


def dictionary():
    inputs = {"b": L.Input([4], name="b"), "a": L.Input([3], name="a")}
    h = L.BatchNormalization()(L.Dense(3)(inputs["b"]))
    return tf_keras.Model(inputs, {"z": h + inputs["a"], "y": h * inputs["a"]})


def nested():
    """A model in a model, used twice, with a regularizer that the outer one does not list."""
    inner = sequential([4], L.Dense(4, kernel_regularizer="l2"), L.BatchNormalization(), L.Dense(4, "tanh"))
    x = L.Input([4], name="x")
    return tf_keras.Model(x, inner(inner(x)))


class Subclass(tf_keras.Model):
    """A model with a loss of its own, and with other code in training."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3, kernel_regularizer="l2")
        self.norm = L.BatchNormalization(momentum=0.5)

    def call(self, x, training=False):
        h = self.norm(self.dense(x), training=training)
        self.add_loss(0.1 * tf.reduce_sum(tf.square(h)))
        return tf.tanh(h) * 2.0 if training else tf.tanh(h)


class WithoutTraining(tf_keras.Model):
    """A model whose call has no argument `training`: its layers get the one of the call around it."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)
        self.norm = L.BatchNormalization()

    def call(self, inputs):
        return self.norm(self.dense(inputs))


def tokens(x):
    """Ids of which some are masked, but never a whole row: the mean of nothing is not a number."""
    first = tf.range(tf.shape(x)[1]) == 0
    return tf.where(first, 1, tf.cast(tf.abs(x) * 3.0, tf.int32) % 5)


def masked(*layers, dtype="float32"):
    """Layers behind ids that are masked; those that attend attend to themselves."""
    x = L.Input([None], dtype=dtype, name="x")
    h = L.Embedding(5, 4, mask_zero=True, embeddings_regularizer="l2")(tokens(x))
    for layer in layers:
        if isinstance(layer, L.MultiHeadAttention):
            h = layer(h, h)
        elif isinstance(layer, (L.Attention, L.AdditiveAttention)):
            h = layer([h, h])
        else:
            h = layer(h)
    return tf_keras.Model(x, h)


def attentions(**arguments):
    return L.LSTM(4, return_sequences=True), L.MultiHeadAttention(2, 3, **arguments), L.LayerNormalization()


def masked_losses():
    """Statistics and losses between the attentions whose masks tf_keras does not save."""
    return masked(
        L.MultiHeadAttention(2, 3),
        L.Dense(4, activity_regularizer="l2"),
        L.BatchNormalization(momentum=0.8),
        L.MultiHeadAttention(2, 3),
        L.ActivityRegularization(l1=0.1),
        L.GlobalAveragePooling1D(),
    )


def masked_encoder(rate):
    x = L.Input([None], dtype="float32", name="x")
    ids = tokens(x)
    positions = L.Embedding(6, 4)(tf.zeros_like(ids) + tf.range(tf.shape(ids)[1]))
    h = L.Dropout(rate)(L.Add()([L.Embedding(5, 4, mask_zero=True)(ids), positions]))
    for _ in range(2):
        attended = L.MultiHeadAttention(2, 3, dropout=rate)(h, h)
        h = L.LayerNormalization()(L.Add()([h, L.Dropout(rate)(attended)]))
        hidden = L.Dense(4)(L.Dense(8, "gelu")(h))
        h = L.LayerNormalization()(L.Add()([h, L.Dropout(rate)(hidden)]))
    return tf_keras.Model(x, L.Dense(3)(L.GlobalAveragePooling1D()(h)))


def masked_decoder():
    """Two sequences: one attends to itself and, with a mask of either, to the other."""
    a, b = L.Input([None], name="a"), L.Input([None], name="b")
    h, g = (L.Embedding(5, 4, mask_zero=True)(tokens(x)) for x in [a, b])
    h = L.Add()([h, L.MultiHeadAttention(2, 3, dropout=1e-9)(h, h, use_causal_mask=True)])
    g = L.BatchNormalization()(g)
    h = L.Add()([h, L.MultiHeadAttention(2, 3)(h, g)])
    return tf_keras.Model([a, b], [L.Dense(2, name="y")(h), L.GlobalAveragePooling1D(name="z")(g)])


def masking(*layers, dtype="float32"):
    """Whatever follows has a mask that tf_keras does not save. Rows of zeros are masked."""
    x = L.Input([None, 3], dtype=dtype, name="x")
    h = L.Masking()(x * tf.cast(x[..., :1] > -0.5, dtype))
    for layer in layers:
        h = layer(h)
    return tf_keras.Model(x, h)


def masked_within():
    """A batch normalization that takes the mask of a model within the model, which tf_keras does not save."""
    x = L.Input([None], dtype="float32", name="x")
    inner = tf_keras.Sequential([L.Input([None]), L.Embedding(5, 4, mask_zero=True)])
    return tf_keras.Model(x, L.Dense(2)(L.BatchNormalization()(inner(tokens(x)))))


def masked_rnn_within():
    """A recurrent layer that takes the mask of a model within the model, and hands on its own states."""
    x = L.Input([None], dtype="float32", name="x")
    inner = tf_keras.Sequential([L.Input([None]), L.Embedding(5, 4, mask_zero=True), L.LSTM(4, return_sequences=True)])
    h, state = L.GRU(3, return_sequences=True, return_state=True)(inner(tokens(x)))
    return tf_keras.Model(x, [L.GlobalMaxPooling1D(name="y")(h), L.Dense(2, name="z")(state)])


def masked_rnn():
    """Masks that tf_keras saves, as recurrent layers take them as an argument."""
    x = L.Input([None], dtype="float32", name="x")
    h = L.Embedding(5, 4, mask_zero=True)(tokens(x))
    h = L.LSTM(4, return_sequences=True)(h)
    return tf_keras.Model(x, L.Dense(3)(L.Bidirectional(L.GRU(3))(h)))


def attention_rnn():
    x = L.Input([None, 4], name="x")
    h = L.LSTM(4, return_sequences=True)(x)
    h = h + L.MultiHeadAttention(2, 3)(h, h)
    return tf_keras.Model(x, L.Dense(3)(L.Bidirectional(L.GRU(3))(L.BatchNormalization()(h))))


# name: (model, shapes of a batch of its inputs)
MODELS = {
    "dense": lambda: (sequential([5], L.Dense(4, "relu"), L.Dense(3)), [(4, 5)]),
    "batch_normalization": lambda: (sequential([5], L.Dense(4), L.BatchNormalization(), L.Dense(3)), [(4, 5)]),
    "batch_normalization_fused": lambda: (
        sequential([6, 6, 2], L.Conv2D(4, 3), L.BatchNormalization(momentum=0.8, epsilon=1e-2), L.ReLU(), L.Flatten()),
        [(4, 6, 6, 2)],
    ),
    "batch_normalization_unfused": lambda: (
        sequential([6, 6, 2], L.Conv2D(4, 3), L.BatchNormalization(fused=False), L.Flatten()),
        [(4, 6, 6, 2)],
    ),
    "batch_normalization_axis": lambda: (sequential([6, 3], L.Dense(4), L.BatchNormalization(axis=1)), [(4, 6, 3)]),
    "batch_normalization_frozen": lambda: (frozen_norm(), [(4, 5)]),
    "synchronized": lambda: (sequential([5], L.Dense(4), L.BatchNormalization(synchronized=True)), [(4, 5)]),
    "batch_normalization_renorm": lambda: (sequential([5], L.Dense(4), L.BatchNormalization(renorm=True)), [(4, 5)]),
    "regularizers": lambda: (
        sequential([5], L.Dense(4, kernel_regularizer="l1", bias_regularizer="l2", activity_regularizer="l2"), L.Dense(3)),
        [(4, 5)],
    ),
    "activity_regularization": lambda: (
        sequential([5], L.Dense(4), L.ActivityRegularization(l1=0.1, l2=0.2), L.Dense(3)),
        [(4, 5)],
    ),
    "two_inputs": lambda: (two_inputs(), [(4, 4), (4, 4)]),
    "dictionary": lambda: (dictionary(), {"b": (4, 4), "a": (4, 3)}),
    "nested": lambda: (nested(), [(4, 4)]),
    "subclass": lambda: (Subclass(), [(4, 5)]),
    "without_training": lambda: (WithoutTraining(), [(4, 5)]),
    "masked": lambda: (masked(*attentions(), L.GlobalAveragePooling1D()), [(3, 6)]),
    "masked_keeping_all": lambda: (masked(*attentions(dropout=1e-9)), [(3, 6)]),
    # A masked position attends to all by the differences of scores to which -1e9 is added: too coarse for differences.
    "masked_dropout": lambda: (
        masked(*attentions(dropout=0.4), L.GlobalAveragePooling1D(), dtype="float64"),
        [(3, 6)],
    ),
    "masked_losses": lambda: (masked_losses(), [(3, 6)]),
    "masked_encoder": lambda: (masked_encoder(0.0), [(3, 6)]),
    "masked_encoder_keeping_all": lambda: (masked_encoder(1e-9), [(3, 6)]),
    "masked_decoder": lambda: (masked_decoder(), [(3, 6), (3, 5)]),
    "masked_attention": lambda: (masked(L.Attention(), L.AdditiveAttention(), L.Dense(3)), [(3, 6)]),
    "masked_rnns": lambda: (
        masked(L.LSTM(4, return_sequences=True), L.Bidirectional(L.GRU(3, return_sequences=True)), L.SimpleRNN(3)),
        [(3, 6)],
    ),
    "masked_norm": lambda: (masked(L.Dense(4), L.BatchNormalization(), L.LSTM(3)), [(3, 6)]),
    "masking_norm": lambda: (masking(L.Dense(4), L.BatchNormalization(), L.Dense(2)), [(3, 6, 3)]),
    "masking_pooling": lambda: (masking(L.Dense(4), L.GlobalAveragePooling1D(), L.Dense(2)), [(3, 6, 3)]),
    "masking_rnns": lambda: (
        masking(
            L.LSTM(4, return_sequences=True, dropout=1e-9),
            L.Dropout(1e-9),
            L.Dense(4, activity_regularizer="l2"),
            L.Bidirectional(L.GRU(3, return_sequences=True)),
            L.SimpleRNN(3),
            L.BatchNormalization(),
        ),
        [(5, 6, 3)],
    ),
    "masking_dropout": lambda: (
        masking(L.GRU(4, return_sequences=True, dropout=0.3), L.Dropout(0.3), L.LSTM(3, dropout=0.3), dtype="float64"),
        [(3, 6, 3)],
    ),
    "masking_recurrent_dropout": lambda: (masking(L.LSTM(4, recurrent_dropout=0.3), dtype="float64"), [(3, 6, 3)]),
    "masked_rnn_within": lambda: (masked_rnn_within(), [(3, 6)]),
    "masked_within": lambda: (masked_within(), [(3, 6)]),
    "masked_rnn": lambda: (masked_rnn(), [(3, 6)]),
    "attention_rnn": lambda: (attention_rnn(), [(3, 6, 4)]),
    "bidirectional": lambda: (sequential([None, 4], L.Bidirectional(L.GRU(3, recurrent_regularizer="l2"))), [(3, 6, 4)]),
    "time_distributed": lambda: (sequential([5, 4], L.TimeDistributed(sequential([4], L.Dense(3), L.BatchNormalization()))), [(3, 5, 4)]),
    "spectral": lambda: (sequential([5, 4], L.GroupNormalization(2), L.UnitNormalization(), L.Dense(2)), [(3, 5, 4)]),
    "dropout": lambda: (random([6], L.Dropout(0.5), L.Dense(3)), [(4, 6)]),
    "alpha_dropout": lambda: (random([6], L.AlphaDropout(0.5), L.Dense(3)), [(4, 6)]),
    "gaussian_dropout": lambda: (random([6], L.GaussianDropout(0.5), L.Dense(3)), [(4, 6)]),
    "gaussian_noise": lambda: (random([6], L.GaussianNoise(0.5), L.Dense(3, "tanh")), [(4, 6)]),
    "spatial_dropout_1d": lambda: (random([5, 4], L.SpatialDropout1D(0.5), L.Dense(3)), [(4, 5, 4)]),
    "spatial_dropout_2d": lambda: (random([5, 5, 4], L.SpatialDropout2D(0.5), L.Dense(3)), [(4, 5, 5, 4)]),
    "spatial_dropout_3d": lambda: (random([3, 3, 3, 4], L.SpatialDropout3D(0.5), L.Dense(3)), [(4, 3, 3, 3, 4)]),
    "lstm_dropout": lambda: (random([5, 4], L.LSTM(3, dropout=0.4, recurrent_dropout=0.4)), [(4, 5, 4)]),
    "gru_dropout": lambda: (random([5, 4], L.GRU(3, dropout=0.4, recurrent_dropout=0.4)), [(4, 5, 4)]),
    "rnn_dropout": lambda: (random([5, 4], L.SimpleRNN(3, dropout=0.4, recurrent_dropout=0.4)), [(4, 5, 4)]),
    "stacked_rnn_dropout": lambda: (
        random([5, 4], L.RNN([L.LSTMCell(3, dropout=0.4), L.GRUCell(2, recurrent_dropout=0.4)])),
        [(4, 5, 4)],
    ),
    "bidirectional_dropout": lambda: (random([5, 4], L.Bidirectional(L.LSTM(3, dropout=0.4))), [(4, 5, 4)]),
    # What is drawn drops nothing.
    "lstm_keeping_all": lambda: (sequential([5, 4], L.LSTM(3, dropout=1e-9, recurrent_dropout=1e-9)), [(4, 5, 4)]),
    "gru_keeping_all": lambda: (sequential([5, 4], L.GRU(3, dropout=1e-9, recurrent_dropout=1e-9)), [(4, 5, 4)]),
    "conv_lstm_dropout": lambda: (random([3, 5, 5, 2], L.ConvLSTM2D(2, 2, dropout=0.4, recurrent_dropout=0.4)), [(2, 3, 5, 5, 2)]),
    "conv_lstm_1d_dropout": lambda: (random([3, 5, 2], L.ConvLSTM1D(2, 2, dropout=0.4)), [(2, 3, 5, 2)]),
    "conv_lstm_3d_dropout": lambda: (random([2, 3, 3, 3, 2], L.ConvLSTM3D(2, 2, dropout=0.4)), [(2, 2, 3, 3, 3, 2)]),
    "lambda_noise": lambda: (random([6], L.Lambda(noise), L.Dense(3)), [(4, 6)]),
    "attention_dropout": lambda: (attention(), [(4, 5, 4)]),
    "behind_mask_lstm": lambda: (behind_mask(L.LSTM(3, return_sequences=True)), [(3, 6, 4)]),
    "behind_mask_gru": lambda: (behind_mask(L.GRU(3, go_backwards=True)), [(3, 6, 4)]),
    "behind_mask_gru_before": lambda: (behind_mask(L.GRU(3, reset_after=False)), [(3, 6, 4)]),
    "behind_mask_simple_rnn": lambda: (behind_mask(L.SimpleRNN(3)), [(3, 6, 4)]),
    "sync_batch_normalization": lambda: (
        sequential([5], L.Dense(4), L.experimental.SyncBatchNormalization(momentum=0.7)),
        [(4, 5)],
    ),
    "float16_norm": lambda: (mixed("mixed_float16", [5], lambda: L.Dense(4), L.BatchNormalization), [(8, 5)]),
    "float16_norm_fused": lambda: (
        mixed("mixed_float16", [6, 6, 2], lambda: L.Conv2D(4, 3), L.BatchNormalization, lambda: L.Activation("tanh")),
        [(4, 6, 6, 2)],
    ),
    "float16_norm_of_float16": lambda: (mixed("float16", [5], lambda: L.Dense(4), L.BatchNormalization), [(8, 5)]),
    "float16_layer_norm": lambda: (mixed("mixed_float16", [6, 5], lambda: L.Dense(4), L.LayerNormalization), [(4, 6, 5)]),
    "bfloat16_norm": lambda: (mixed("mixed_bfloat16", [5], lambda: L.Dense(4), L.BatchNormalization), [(8, 5)]),
    "bfloat16_norm_fused": lambda: (
        mixed("mixed_bfloat16", [6, 6, 2], lambda: L.Conv2D(4, 3), L.BatchNormalization, lambda: L.Activation("tanh")),
        [(4, 6, 6, 2)],
    ),
    "bfloat16_norm_of_bfloat16": lambda: (mixed("bfloat16", [5], lambda: L.Dense(4), L.BatchNormalization), [(8, 5)]),
    "image_crop": lambda: image(L.RandomCrop(4, 2)),
    "image_brightness": lambda: image(L.RandomBrightness(0.1, value_range=(-20.0, 20.0))),
    "image_flip": lambda: image(L.RandomFlip()),
    "image_rotation": lambda: image(L.RandomRotation(0.5)),
    "image_translation": lambda: image(L.RandomTranslation(0.5, 0.5)),
    "image_zoom": lambda: image(L.RandomZoom(0.5, 0.5)),
    "image_height": lambda: image(L.RandomHeight(0.5), L.GlobalAveragePooling2D()),
    "image_width": lambda: image(L.RandomWidth(0.5), L.GlobalAveragePooling2D()),
    # Python has no gradient for it: no layer before it can be trained.
    "image_contrast": lambda: (
        sequential([6, 5, 3], L.RandomContrast(0.5), L.Conv2D(2, 2)),
        [(4, 6, 5, 3)],
    ),
}


def frozen_norm():
    """Not trainable, batch normalization uses its statistics in training too."""
    norm = L.BatchNormalization()
    norm.trainable = False
    return sequential([5], L.Dense(4), norm)


def attention():
    x = L.Input([5, 4], dtype="float64")
    h = L.Dense(4)(x)
    several = [L.Attention(dropout=0.4), L.AdditiveAttention(dropout=0.4)]
    return tf_keras.Model(x, [L.MultiHeadAttention(2, 3, dropout=0.4)(h, h), *(layer([h, h]) for layer in several)])


def mixed(policy, shape, *layers):
    """Layers that compute in fewer bits than their variables have, without kinks. The result is float32."""
    tf_keras.mixed_precision.set_global_policy(policy)
    model = sequential(shape, *(layer() for layer in layers), L.Flatten(), L.Dense(3, dtype="float32"))
    tf_keras.mixed_precision.set_global_policy("float32")
    return model


def behind_mask(layer):
    """A layer over sequences of which positions are masked, but never the first."""
    x = L.Input([None, 4], name="x")
    first = tf.range(tf.shape(x)[1])[None, :, None] == 0
    return tf_keras.Model(x, layer(L.Masking()(x * tf.cast(first | (x[:, :, :1] > 0.0), tf.float32))))


def noise(x, training=None):
    return x + tf.random.normal(tf.shape(x), dtype=x.dtype) if training else x


# Python's gradient of these is that of the inverse transform, not exactly that of what is computed.
APPROXIMATE = {"image_rotation", "image_translation", "image_zoom"}

# Parts of the largest element, by the first part of a model's name: a few times the distance of two numbers.
TOLERANCES = {"float16": 4e-3, "bfloat16": 3e-2}

# Classes whose call takes `training` that no model here has.
EXCEPTIONS = {
    "DenseFeatures": "takes feature columns, which Python deprecates",
    "SpectralNormalization": "cannot be called: tf_keras 2.18 refuses the input_spec that it makes",
}

# In its functions for training, tf_keras does not save the masks that a Masking layer and a model within the model return. Those of loops can be
# taken from the signature.
REFUSED = {"masking_norm", "masking_pooling", "masking_recurrent_dropout", "masked_within"}


def flat(results):
    return tf.nest.flatten(results)


def names(model):
    """The signature's outputs in the order in which Python flattens the results."""
    return model.output_names or [f"output_{i + 1}" for i in range(len(model.outputs or [0]))]


def result(model, x, cotangents, training):
    with tf.GradientTape() as tape:
        outputs = flat(model(x, training=training))
        losses = tf.add_n(model.losses) if model.losses else tf.constant(0.0, outputs[0].dtype)
        total = tf.add_n([tf.reduce_sum(y * c) for y, c in zip(outputs, cotangents)] + [losses])
    variables = model.trainable_variables
    gradients = tape.gradient(total, variables)
    return {
        "outputs": {name: numbers(y.numpy()) for name, y in zip(names(model), outputs)},
        "losses": float(losses),
        "gradients": [
            {"variable": i, **numbers(tf.cast(tf.convert_to_tensor(g), tf.float64).numpy())} for i, g in enumerate(gradients) if g is not None
        ],
    }


def classes():
    """The classes of tf_keras.layers that may compute something else in training."""
    layers = {c for _, c in inspect.getmembers(L, inspect.isclass) if issubclass(c, L.Layer)}
    return {c.__name__ for c in layers if "training" in inspect.signature(c.call).parameters}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--sample", type=int)
    arguments = parser.parse_args()
    wanted = arguments.only
    if arguments.sample is not None:
        wanted = Random(arguments.sample).sample(wanted, len(wanted) // 2)
    return arguments.folder, wanted


def main(folder, wanted):
    tf.get_logger().setLevel("ERROR")
    missing = classes() - EXCEPTIONS.keys()
    for name, make in MODELS.items():
        tf_keras.backend.set_floatx("float64" if any(word in name for word in ("dropout", "noise")) else "float32")
        drawing = tf_keras.backend.floatx() == "float64" or name.startswith("image")
        dtype = tf_keras.backend.floatx()
        model, shapes = make()
        missing -= {type(layer).__name__ for layer in model._flatten_layers()}
        if name not in wanted:
            continue
        batch = [normal(*s).astype(dtype) for s in (shapes.values() if isinstance(shapes, dict) else shapes)]
        x = dict(zip(shapes, batch)) if isinstance(shapes, dict) else batch if len(batch) > 1 else batch[0]
        outputs = flat(model(x))
        for weight in model.weights:
            value = tf.cast(weight, tf.float64) + 0.3 * normal(*weight.shape)
            weight.assign(tf.cast(tf.abs(value) if "moving" in weight.name else value, weight.dtype))
        tf_keras.models.save_model(model, os.path.join(folder, name), save_format="tf")
        cotangents = [tf.constant(normal(*y.shape), y.dtype) for y in outputs]
        inputs = model.input_names or ["input_1"]
        expected = {
            "random": drawing,
            "exact": name not in APPROXIMATE,
            "refused": name in REFUSED,
            "tolerance": next((t for start, t in TOLERANCES.items() if name.startswith(start)), 5e-6),
            "inputs": {name: numbers(a) for name, a in zip(inputs, flat(x))},
            "cotangents": {name: numbers(c.numpy()) for name, c in zip(names(model), cotangents)},
            "inference": result(model, x, cotangents, False),
        }
        if not drawing:
            trainable = {id(v) for v in model.trainable_variables}
            expected["training"] = result(model, x, cotangents, True)
            model(x, training=True)
            expected["others"] = {
                str(i): numbers(tf.cast(v, tf.float64).numpy()) for i, v in enumerate(model.variables) if id(v) not in trainable
            }
        with open(os.path.join(folder, name + ".json"), "w") as out:
            json.dump(expected, out, allow_nan=False)
    if missing:
        raise SystemExit(f"neither tested in training nor excepted: {sorted(missing)}")


if __name__ == "__main__":
    main(*parse_arguments())
