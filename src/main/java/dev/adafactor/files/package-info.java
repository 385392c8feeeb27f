/**
 * Paths that a user names for something to be written, and the files that TensorFlow keeps
 * variables in.
 */
package dev.adafactor.files;
