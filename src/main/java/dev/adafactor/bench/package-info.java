/** The benchmark: steps of this library's optimizer and of its peers, timed in turns and sized. */
package dev.adafactor.bench;
