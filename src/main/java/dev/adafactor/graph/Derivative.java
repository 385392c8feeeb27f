package dev.adafactor.graph;

import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.types.family.TNumber;

/**
 * The derivative of a loss by a variable, of the variable's type.
 *
 * @param values of the variable's shape; with indices, of shape {@code [k] + variable.shape[1:]}
 * @param indices of shape {@code [k]}, int32 or int64: the row of each of the values, which add up
 *     where they are of one row; empty where the values are those of all rows
 */
public record Derivative(Output<?> values, Optional<Operand<? extends TNumber>> indices) {}
