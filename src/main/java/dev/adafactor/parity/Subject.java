package dev.adafactor.parity;

import java.util.OptionalInt;

/**
 * What has values after each step of a run.
 *
 * @param quantity what is looked at
 * @param variable whose it is, by its place in the run's list; empty for what belongs to no
 *     variable
 */
public record Subject(Quantity quantity, OptionalInt variable) {}
