/** Paths that a user names for something to be written, and what may go wrong with them. */
package dev.adafactor.files;
