package dev.adafactor.savedmodel;

import java.util.Map;
import java.util.Optional;
import org.tensorflow.proto.GraphDef;

/**
 * A graph without function calls.
 *
 * @param graphDef its nodes; of functions only those that were added are in its library
 * @param tensors from each tensor asked for, as it was named in the graph with calls, to the flat
 *     graph's tensor, {@code node:index} or {@code ^node}
 * @param randomness the node that all random numbers follow from, if there are any
 */
record FlatGraph(GraphDef graphDef, Map<String, String> tensors, Optional<String> randomness) {}
