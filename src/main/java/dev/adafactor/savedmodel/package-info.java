/**
 * Loads a SavedModel that Python exported so that it can be trained in its own graph, and writes it
 * back so that Python loads it again.
 */
package dev.adafactor.savedmodel;
