package dev.adafactor.checkpoint;

import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * What was put back.
 *
 * @param checkpoint the prefix of the files that it came from
 * @param variables how many variables of the model
 * @param states of how many variables the optimizer's state
 * @param iterations the optimizer's steps; empty if the checkpoint has none, or no state of the
 *     optimizer that fits, and they were left as they were
 * @param learningRate the learning rate that the optimizer has from there; empty if it has kept its
 *     own, or has a schedule
 * @param left what was left as it was, by the paths that it would have in a checkpoint: variables
 *     of the model and, unless there is no optimizer in the checkpoint, parts of its state
 * @param unused what else is in the checkpoint, by its paths there
 */
public record Restored(
    Path checkpoint,
    int variables,
    int states,
    OptionalLong iterations,
    OptionalDouble learningRate,
    List<String> left,
    List<String> unused) {}
