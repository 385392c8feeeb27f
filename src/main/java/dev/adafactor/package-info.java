/**
 * The optimizer: {@link dev.adafactor.Adafactor} with its builder and configuration, the rules of
 * its update, clipping, weight decay and moving averages.
 */
package dev.adafactor;
