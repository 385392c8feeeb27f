/** The state of a model and its optimizer in files, as tf_keras writes and reads it. */
package dev.adafactor.checkpoint;
