package dev.adafactor.savedmodel;

import dev.adafactor.graph.RawVariable;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;

/**
 * The variables that a model holds twice. Keras 3 exports each of its variables as two, of the same
 * value: what serves the model calls its functions with the one, Python's {@code
 * tf.saved_model.load} calls them with the other. What trains the one has to change the other.
 */
final class VariableTwins {

  /**
   * Two variables that are to have the same value.
   *
   * @param served the {@code VarHandleOp} that the graph calls functions with
   * @param loaded that which Python calls them with
   */
  record Pair(String served, String loaded) {}

  private final Map<String, NodeDef> nodes;
  private final Set<Pair> pairs;

  private VariableTwins(MetaGraphDef metaGraph) {
    nodes = Nodes.byName(metaGraph.getGraphDef().getNodeList());
    pairs = findPairs(metaGraph);
  }

  /** Finds the pairs of a model; nearly all have none. */
  static VariableTwins of(MetaGraphDef metaGraph) {
    return new VariableTwins(metaGraph);
  }

  Set<Pair> pairs() {
    return pairs;
  }

  /** Gives each second variable the value of the first, in a session of the model's graph. */
  void update(Session session) {
    if (pairs.isEmpty()) {
      return;
    }
    Session.Runner runner = session.runner();
    Ops tf = Ops.create(session.graph()).withSubScope("twins");
    for (Pair pair : pairs) {
      RawVariable served = variable(session, pair.served());
      RawVariable loaded = variable(session, pair.loaded());
      runner.addTarget(loaded.assign(tf, served.read(tf)));
    }
    runner.run().close();
  }

  private RawVariable variable(Session session, String handle) {
    return new RawVariable(
        session.graph().operationOrThrow(handle).output(0),
        nodes.get(handle).getAttrOrThrow("dtype").getType());
  }

  private Set<Pair> findPairs(MetaGraphDef metaGraph) {
    Map<Integer, String> saved = SaverKeys.of(metaGraph).handlesByObject();
    Set<Pair> found = new LinkedHashSet<>();
    CapturedObjects.forEach(
        metaGraph,
        (object, served) -> {
          String loaded = saved.getOrDefault(object, served);
          if (!loaded.equals(served)
              && isHandle(served)
              && isHandle(loaded)
              && areAlike(served, loaded)) {
            found.add(new Pair(served, loaded));
          }
        });
    return found;
  }

  private boolean isHandle(String node) {
    return nodes.containsKey(node) && nodes.get(node).getOp().equals("VarHandleOp");
  }

  /** In a damaged model they need not be; what is not alike cannot have the same value. */
  private boolean areAlike(String served, String loaded) {
    return Stream.of("dtype", "shape")
        .allMatch(
            attribute ->
                Objects.equals(
                    nodes.get(served).getAttrMap().get(attribute),
                    nodes.get(loaded).getAttrMap().get(attribute)));
  }
}
