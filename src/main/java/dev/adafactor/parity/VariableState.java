package dev.adafactor.parity;

import java.util.Optional;

/**
 * A variable and the optimizer's state of it after a step.
 *
 * @param value the variable
 * @param v the second moment, of the variable's shape
 * @param r the second moment's row averages, where it is factored
 * @param c the second moment's column averages, where it is factored
 * @param average the exponential moving average, where one is kept
 */
public record VariableState(
    Values value, Values v, Optional<Values> r, Optional<Values> c, Optional<Values> average) {}
