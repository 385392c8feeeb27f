package dev.adafactor.parity;

/**
 * A case and what became of it.
 *
 * @param input the case
 * @param outcome of its replay
 */
public record Replayed(Case input, Outcome outcome) {}
