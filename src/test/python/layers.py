"""Exports a small SavedModel with each layer class of tf_keras, with its gradients by tf.GradientTape.

    python layers.py FOLDER [--sample SEED | --only NAME ...]

The files are those of gradients.py. A layer's input is computed from a variable, so that a layer without variables is tested for what
it passes on; not scaled by it, because normalization would leave nothing but rounding of that gradient. Every class of tf_keras.layers is in LAYERS or, with the reason, in EXCEPTIONS.
"""

import argparse
import inspect
import random

import numpy as np
import tensorflow as tf
import tf_keras
from gradients import export, normal

L = tf_keras.layers

EXCEPTIONS = {
    "AbstractRNNCell": "abstract",
    "Layer": "abstract",
    "Wrapper": "abstract",
    "InputLayer": "has no computation; no model can be called without it",
    "CategoryEncoding": "its results are counts of integers, with no gradient",
    "DenseFeatures": "takes feature columns, which Python deprecates",
    "Discretization": "its results are integers",
    "HashedCrossing": "its results are integers",
    "Hashing": "its results are integers",
    "IntegerLookup": "its results are integers",
    "SpectralNormalization": "cannot be called: tf_keras 2.18 refuses the input_spec that it makes",
    "StringLookup": "its results are integers",
    "TextVectorization": "its results are integers",
}

# Of the largest element: sums of hundreds of products round differently in another order.
TOLERANCE = 5e-6

SEQUENCE = (2, 5, 4)
IMAGE = (2, 8, 8, 3)
VOLUME = (2, 6, 6, 6, 2)


def mask(layer):
    """The layer over sequences of lengths 2 and 5."""
    return lambda x, training: layer(x, mask=tf.sequence_mask([2, 5], 5), training=training)


def twice(layer):
    """The layer of two inputs."""
    return lambda x, training: layer([x, tf.sin(x)])


def attention(layer):
    return lambda x, training: layer([x, tf.sin(x)], mask=[None, tf.sequence_mask([2, 5], 5)])


def ids(layer):
    """The layer of whole numbers, one after the other."""
    return lambda x, training: layer(tf.cast(x * 0.0, tf.int32) + tf.range(x.shape[1]) % 3)


def cell(layer, states):
    return lambda x, training: layer(x, [tf.sin(x[:, :1]) * tf.ones([1, 3])] * states)[0]


# name: (shape of the input, layer or function of it, optionally with training=True as well)
LAYERS = {
    "Activation": (SEQUENCE, lambda: L.Activation("gelu")),
    "Activation.mish": (SEQUENCE, lambda: L.Activation("mish")),
    "Activation.swish": (SEQUENCE, lambda: L.Activation("swish")),
    "Activation.hard_sigmoid": (SEQUENCE, lambda: L.Activation("hard_sigmoid")),
    "Activation.softmax": (SEQUENCE, lambda: L.Activation("softmax")),
    "ActivityRegularization": (SEQUENCE, lambda: L.ActivityRegularization(l2=0.1)),
    "Add": (SEQUENCE, lambda: twice(L.Add())),
    "AdditiveAttention": (SEQUENCE, lambda: twice(L.AdditiveAttention())),
    "AdditiveAttention.mask": (SEQUENCE, lambda: attention(L.AdditiveAttention())),
    "AlphaDropout": (SEQUENCE, lambda: L.AlphaDropout(0.5)),
    "Attention": (SEQUENCE, lambda: twice(L.Attention(use_scale=True))),
    "Attention.mask": (SEQUENCE, lambda: attention(L.Attention())),
    "Average": (SEQUENCE, lambda: twice(L.Average())),
    "AveragePooling1D": (SEQUENCE, lambda: L.AveragePooling1D(2)),
    "AveragePooling2D": (IMAGE, lambda: L.AveragePooling2D(2)),
    "AveragePooling3D": (VOLUME, lambda: L.AveragePooling3D(2)),
    "BatchNormalization": (IMAGE, lambda: L.BatchNormalization()),
    "BatchNormalization.training": (IMAGE, lambda: L.BatchNormalization(), True),
    "BatchNormalization.dense.training": (SEQUENCE, lambda: L.BatchNormalization(), True),
    "Bidirectional": (SEQUENCE, lambda: L.Bidirectional(L.LSTM(3))),
    "Bidirectional.mask": (SEQUENCE, lambda: mask(L.Bidirectional(L.GRU(3, return_sequences=True)))),
    "CenterCrop": (IMAGE, lambda: L.CenterCrop(4, 6)),
    "Concatenate": (SEQUENCE, lambda: twice(L.Concatenate())),
    "Conv1D": (SEQUENCE, lambda: L.Conv1D(3, 2)),
    "Conv1D.causal": (SEQUENCE, lambda: L.Conv1D(3, 2, padding="causal", dilation_rate=2)),
    "Conv1DTranspose": (SEQUENCE, lambda: L.Conv1DTranspose(3, 2, strides=2)),
    "Conv2D": (IMAGE, lambda: L.Conv2D(4, 3)),
    "Conv2D.dilated": (IMAGE, lambda: L.Conv2D(4, 3, dilation_rate=2)),
    "Conv2D.dilated.same": (IMAGE, lambda: L.Conv2D(4, 3, dilation_rate=(1, 2), padding="same")),
    "Conv2D.groups": (IMAGE, lambda: L.Conv2D(6, 3, groups=3)),
    "Conv2DTranspose": (IMAGE, lambda: L.Conv2DTranspose(4, 3, strides=2)),
    "Conv2DTranspose.dilated": (IMAGE, lambda: L.Conv2DTranspose(4, 3, dilation_rate=2)),
    "Conv3D": (VOLUME, lambda: L.Conv3D(3, 2)),
    "Conv3D.strides": (VOLUME, lambda: L.Conv3D(3, 2, strides=2, padding="same")),
    "Conv3DTranspose": (VOLUME, lambda: L.Conv3DTranspose(3, 2, strides=2)),
    "ConvLSTM1D": ((2, 3, 6, 2), lambda: L.ConvLSTM1D(3, 2)),
    "ConvLSTM2D": ((2, 3, 6, 6, 2), lambda: L.ConvLSTM2D(3, 2)),
    "ConvLSTM3D": ((2, 3, 4, 4, 4, 2), lambda: L.ConvLSTM3D(2, 2)),
    "Cropping1D": (SEQUENCE, lambda: L.Cropping1D(1)),
    "Cropping2D": (IMAGE, lambda: L.Cropping2D(1)),
    "Cropping3D": (VOLUME, lambda: L.Cropping3D(1)),
    "Dense": (SEQUENCE, lambda: L.Dense(3, "tanh")),
    "DepthwiseConv1D": (SEQUENCE, lambda: L.DepthwiseConv1D(2)),
    "DepthwiseConv2D": (IMAGE, lambda: L.DepthwiseConv2D(3, depth_multiplier=2)),
    "DepthwiseConv2D.dilated": (IMAGE, lambda: L.DepthwiseConv2D(3, dilation_rate=2)),
    "Dot": (SEQUENCE, lambda: twice(L.Dot(2, normalize=True))),
    "Dropout": (SEQUENCE, lambda: L.Dropout(0.5)),
    "ELU": (SEQUENCE, lambda: L.ELU()),
    "EinsumDense": (SEQUENCE, lambda: L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")),
    "Embedding": ((2, 5), lambda: ids(L.Embedding(4, 3))),
    "Embedding.LSTM.mask": ((2, 5), lambda: ids(tf_keras.Sequential([L.Embedding(4, 3, mask_zero=True), L.LSTM(3)]))),
    "Flatten": (IMAGE, lambda: L.Flatten()),
    "GRU": (SEQUENCE, lambda: L.GRU(3)),
    "GRU.sequences": (SEQUENCE, lambda: L.GRU(3, return_sequences=True, go_backwards=True, reset_after=False)),
    "GRUCell": ((2, 4), lambda: cell(L.GRUCell(3), 1)),
    "GaussianDropout": (SEQUENCE, lambda: L.GaussianDropout(0.5)),
    "GaussianNoise": (SEQUENCE, lambda: L.GaussianNoise(0.5)),
    "GlobalAveragePooling1D": (SEQUENCE, lambda: L.GlobalAveragePooling1D()),
    "GlobalAveragePooling1D.mask": (SEQUENCE, lambda: lambda x, training: L.GlobalAveragePooling1D()(x, tf.sequence_mask([2, 5], 5))),
    "GlobalAveragePooling2D": (IMAGE, lambda: L.GlobalAveragePooling2D()),
    "GlobalAveragePooling3D": (VOLUME, lambda: L.GlobalAveragePooling3D()),
    "GlobalMaxPooling1D": (SEQUENCE, lambda: L.GlobalMaxPooling1D()),
    "GlobalMaxPooling2D": (IMAGE, lambda: L.GlobalMaxPooling2D()),
    "GlobalMaxPooling3D": (VOLUME, lambda: L.GlobalMaxPooling3D()),
    "GroupNormalization": (IMAGE, lambda: L.GroupNormalization(3)),
    "Identity": (SEQUENCE, lambda: L.Identity()),
    "LSTM": (SEQUENCE, lambda: L.LSTM(3)),
    "LSTM.sequences": (SEQUENCE, lambda: L.LSTM(3, return_sequences=True)),
    "LSTM.mask": (SEQUENCE, lambda: mask(L.LSTM(3))),
    "LSTM.unrolled": (SEQUENCE, lambda: L.LSTM(3, unroll=True)),
    "LSTMCell": ((2, 4), lambda: cell(L.LSTMCell(3), 2)),
    "Lambda": (SEQUENCE, lambda: L.Lambda(lambda x: x * tf.sin(x))),
    "LayerNormalization": (SEQUENCE, lambda: L.LayerNormalization()),
    "LayerNormalization.axes": (IMAGE, lambda: L.LayerNormalization((1, 2, 3))),
    "LeakyReLU": (SEQUENCE, lambda: L.LeakyReLU()),
    "LocallyConnected1D": (SEQUENCE, lambda: L.LocallyConnected1D(3, 2)),
    "LocallyConnected2D": (IMAGE, lambda: L.LocallyConnected2D(3, 2)),
    "Masking": (SEQUENCE, lambda: tf_keras.Sequential([L.Masking(0.0), L.GRU(3)])),
    "MaxPooling1D": (SEQUENCE, lambda: L.MaxPooling1D(2)),
    "MaxPooling2D": (IMAGE, lambda: L.MaxPooling2D(2)),
    "MaxPooling3D": (VOLUME, lambda: L.MaxPooling3D(2)),
    "Maximum": (SEQUENCE, lambda: twice(L.Maximum())),
    "Minimum": (SEQUENCE, lambda: twice(L.Minimum())),
    "MultiHeadAttention": (
        SEQUENCE,
        lambda: (lambda layer: lambda x, training: layer(x, x, use_causal_mask=True))(L.MultiHeadAttention(2, 3)),
    ),
    "Multiply": (SEQUENCE, lambda: twice(L.Multiply())),
    "Normalization": (SEQUENCE, lambda: L.Normalization(mean=0.5, variance=2.0)),
    "PReLU": (SEQUENCE, lambda: L.PReLU(alpha_initializer="ones")),
    "Permute": (SEQUENCE, lambda: L.Permute((2, 1))),
    "RNN": (SEQUENCE, lambda: L.RNN([L.LSTMCell(3), L.GRUCell(2)])),
    "RandomBrightness": (IMAGE, lambda: L.RandomBrightness(0.2)),
    "RandomContrast": (IMAGE, lambda: L.RandomContrast(0.2)),
    "RandomCrop": (IMAGE, lambda: L.RandomCrop(4, 4)),
    "RandomFlip": (IMAGE, lambda: L.RandomFlip()),
    "RandomHeight": (IMAGE, lambda: L.RandomHeight(0.2)),
    "RandomRotation": (IMAGE, lambda: L.RandomRotation(0.2)),
    "RandomTranslation": (IMAGE, lambda: L.RandomTranslation(0.2, 0.2)),
    "RandomWidth": (IMAGE, lambda: L.RandomWidth(0.2)),
    "RandomZoom": (IMAGE, lambda: L.RandomZoom(0.2)),
    "ReLU": (SEQUENCE, lambda: L.ReLU(6.0, negative_slope=0.1, threshold=0.2)),
    "RepeatVector": ((2, 4), lambda: L.RepeatVector(3)),
    "Rescaling": (SEQUENCE, lambda: L.Rescaling(0.5, 0.1)),
    "Reshape": (SEQUENCE, lambda: L.Reshape((2, 10))),
    "Resizing": (IMAGE, lambda: L.Resizing(5, 11)),
    "Resizing.bicubic": (IMAGE, lambda: L.Resizing(5, 11, "bicubic")),
    "SeparableConv1D": (SEQUENCE, lambda: L.SeparableConv1D(3, 2)),
    "SeparableConv2D": (IMAGE, lambda: L.SeparableConv2D(3, 2)),
    "SeparableConv2D.dilated": (IMAGE, lambda: L.SeparableConv2D(3, 2, dilation_rate=2)),
    "SimpleRNN": (SEQUENCE, lambda: L.SimpleRNN(3)),
    "SimpleRNNCell": ((2, 4), lambda: cell(L.SimpleRNNCell(3), 1)),
    "Softmax": (SEQUENCE, lambda: L.Softmax()),
    "SpatialDropout1D": (SEQUENCE, lambda: L.SpatialDropout1D(0.5)),
    "SpatialDropout2D": (IMAGE, lambda: L.SpatialDropout2D(0.5)),
    "SpatialDropout3D": (VOLUME, lambda: L.SpatialDropout3D(0.5)),
    "StackedRNNCells": (
        SEQUENCE,
        lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.LSTMCell(2)]), return_sequences=True),
    ),
    "Subtract": (SEQUENCE, lambda: twice(L.Subtract())),
    "ThresholdedReLU": (SEQUENCE, lambda: L.ThresholdedReLU(0.2)),
    "TimeDistributed": (SEQUENCE, lambda: L.TimeDistributed(L.Dense(3))),
    "UnitNormalization": (SEQUENCE, lambda: L.UnitNormalization()),
    "UpSampling1D": (SEQUENCE, lambda: L.UpSampling1D(2)),
    "UpSampling2D": (IMAGE, lambda: L.UpSampling2D(2, interpolation="bilinear")),
    "UpSampling3D": (VOLUME, lambda: L.UpSampling3D(2)),
    "ZeroPadding1D": (SEQUENCE, lambda: L.ZeroPadding1D(1)),
    "ZeroPadding2D": (IMAGE, lambda: L.ZeroPadding2D(1)),
    "ZeroPadding3D": (VOLUME, lambda: L.ZeroPadding3D(1)),
}


class Model(tf.Module):
    def __init__(self, shape, make, training=False):
        super().__init__()
        layer = make()
        owner = layer if isinstance(layer, tf.Module) else inspect.getclosurevars(layer).nonlocals.get("layer")
        self.layer = owner
        self.scale = tf.Variable(normal(shape[-1]), name="scale")
        call = layer
        if layer is owner:
            takes_training = "training" in inspect.signature(layer.call).parameters
            call = lambda x, training: layer(x, training=training) if takes_training else layer(x)
        static = isinstance(layer, (L.LocallyConnected1D, L.LocallyConnected2D))

        spec = tf.TensorSpec(shape if static else [None, *shape[1:]], tf.float32, name="x")

        @tf.function(input_signature=[spec], autograph=False)
        def serve(x):
            return {"y": call(tf.sin(x * self.scale), training)}

        self.serve = serve


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--sample", type=int, metavar="SEED", help="half of them, drawn with this seed")
    parser.add_argument("--only", nargs="+", choices=LAYERS, default=list(LAYERS))
    arguments = parser.parse_args()
    chosen = arguments.only
    if arguments.sample is not None:
        chosen = random.Random(arguments.sample).sample(chosen, len(chosen) // 2)

    classes = {c for _, c in inspect.getmembers(L, inspect.isclass) if issubclass(c, L.Layer)}
    untested = {c.__name__ for c in classes} - EXCEPTIONS.keys() - {name.split(".")[0] for name in LAYERS}
    if untested:
        raise SystemExit(f"neither tested nor excepted: {sorted(untested)}")
    for name in chosen:
        shape, make, *training = LAYERS[name]
        model = Model(shape, make, *training)
        x = normal(*shape)
        model.serve(x)
        weights = model.layer.trainable_weights if model.layer is not None else []
        for i, weight in enumerate(weights):
            weight.assign(normal(*weight.shape))
        export(arguments.folder, name, model, model.serve, [model.scale, *weights], x, False, TOLERANCE)


if __name__ == "__main__":
    main()
