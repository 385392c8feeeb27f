package dev.adafactor.savedmodel;

import java.util.Map;
import org.tensorflow.proto.GraphDef;

/**
 * A graph without function calls.
 *
 * @param graphDef its nodes; the library of functions is left out
 * @param tensors from each tensor asked for, as it was named in the graph with calls, to the flat
 *     graph's tensor, {@code node:index}
 */
record FlatGraph(GraphDef graphDef, Map<String, String> tensors) {}
