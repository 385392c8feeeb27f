/**
 * What has to know TensorFlow Java's internals: both kinds of variable behind one view, slots,
 * gradients, compiled functions, devices.
 */
package dev.adafactor.graph;
