/** Several devices and several processes: a cluster of TensorFlow's servers and sessions on it. */
package dev.adafactor.mesh;
