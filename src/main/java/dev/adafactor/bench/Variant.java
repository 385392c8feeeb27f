package dev.adafactor.bench;

import dev.adafactor.JitCompile;
import dev.adafactor.Numerics;
import dev.adafactor.parity.VariableKind;

/**
 * How this library's optimizer is set up.
 *
 * @param variables the kind of variable that it trains
 * @param numerics which operations compute the update
 * @param jitCompile whether XLA compiles them
 */
public record Variant(VariableKind variables, Numerics numerics, JitCompile jitCompile) {}
