package dev.adafactor.bench;

import dev.adafactor.graph.CompiledCalls;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * What is known of an optimizer before its steps are timed.
 *
 * @param version of the library
 * @param stateBytes what it keeps besides the variables
 * @param peakTransientBytes the most that a step holds in memory besides that, if it can be known
 * @param operations what it adds to the graph, if there is a graph to look at
 * @param compiled what of a step XLA has compiled, if that can be known
 * @param buildMillis for the graph, without variables; in a process of its own, from its start
 * @param firstStepMillis what the first step took
 */
public record Facts(
    String version,
    long stateBytes,
    OptionalLong peakTransientBytes,
    OptionalInt operations,
    Optional<CompiledCalls> compiled,
    double buildMillis,
    double firstStepMillis) {}
