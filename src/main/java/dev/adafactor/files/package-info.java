/**
 * Paths that a user names for something to be written, the files that TensorFlow keeps variables
 * in, and how messages tell of what is in them.
 */
package dev.adafactor.files;
