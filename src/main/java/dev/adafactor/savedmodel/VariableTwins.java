package dev.adafactor.savedmodel;

import dev.adafactor.files.VariableKey;
import dev.adafactor.graph.RawVariable;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef.ArgDef;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedConcreteFunction;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

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

  /** The inputs of a {@code SaveV2} before this one are the file, the keys and the slices. */
  private static final int FIRST_SAVED = 3;

  private final SavedObjectGraph objects;
  private final Map<String, NodeDef> nodes;
  private final Map<String, FunctionDef> functions;
  private final Set<Pair> pairs;

  private VariableTwins(MetaGraphDef metaGraph) {
    objects = metaGraph.getObjectGraphDef();
    nodes = byName(metaGraph.getGraphDef().getNodeList());
    functions =
        metaGraph.getGraphDef().getLibrary().getFunctionList().stream()
            .collect(Collectors.toMap(f -> f.getSignature().getName(), f -> f, (a, b) -> a));
    pairs = findPairs(metaGraph);
  }

  private static Map<String, NodeDef> byName(List<NodeDef> nodes) {
    return nodes.stream().collect(Collectors.toMap(NodeDef::getName, node -> node, (a, b) -> a));
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
    Map<Integer, String> saved = savedHandles(metaGraph.getSaverDef().getSaveTensorName());
    Set<Pair> found = new LinkedHashSet<>();
    for (NodeDef call : metaGraph.getGraphDef().getNodeList()) {
      SavedConcreteFunction function = objects.getConcreteFunctionsMap().get(functionOf(call));
      if (function == null) {
        continue;
      }
      List<String> inputs = Tensors.inputs(call);
      int first = inputs.size() - function.getBoundInputsCount();
      for (int i = Math.max(0, -first); i < function.getBoundInputsCount(); i++) {
        String served = inputs.get(first + i);
        String loaded = saved.getOrDefault(function.getBoundInputs(i), served);
        if (!loaded.equals(served)
            && isHandle(served)
            && isHandle(loaded)
            && areAlike(served, loaded)) {
          found.add(new Pair(served, loaded));
        }
      }
    }
    return found;
  }

  private static String functionOf(NodeDef call) {
    return call.containsAttr("f") ? call.getAttrOrThrow("f").getFunc().getName() : "";
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

  /** For each object that is a variable: the handle whose value the model's saver saves for it. */
  private Map<Integer, String> savedHandles(String saveTensor) {
    Map<Integer, String> handles = new HashMap<>();
    NodeDef call = nodes.get(Tensors.node(saveTensor));
    FunctionDef saver = call == null ? null : functions.get(functionOf(call));
    if (saver == null) {
      return handles;
    }
    Map<String, NodeDef> steps = byName(saver.getNodeDefList());
    List<String> arguments =
        saver.getSignature().getInputArgList().stream().map(ArgDef::getName).toList();
    List<String> passed = Tensors.inputs(call);
    for (NodeDef save : saver.getNodeDefList()) {
      List<String> inputs = Tensors.inputs(save);
      if (!save.getOp().equals("SaveV2") || inputs.size() < FIRST_SAVED) {
        continue;
      }
      List<String> keys =
          Nodes.strings(Optional.ofNullable(steps.get(Tensors.node(inputs.get(1)))));
      for (int i = 0; i < Math.min(keys.size(), inputs.size() - FIRST_SAVED); i++) {
        int argument = arguments.indexOf(origin(inputs.get(FIRST_SAVED + i), steps));
        if (argument >= 0 && argument < passed.size()) {
          VariableKey.path(keys.get(i))
              .flatMap(this::variable)
              .ifPresent(id -> handles.put(id, passed.get(argument)));
        }
      }
    }
    return handles;
  }

  /** The argument that a saved value was read from. */
  private static String origin(String tensor, Map<String, NodeDef> steps) {
    String name = Tensors.node(tensor);
    for (int i = 0; i < steps.size() && steps.containsKey(name); i++) {
      List<String> inputs = Tensors.inputs(steps.get(name));
      name = inputs.isEmpty() ? "" : Tensors.node(inputs.get(0));
    }
    return name;
  }

  /** The variable at the end of a path through the tree of objects. */
  private Optional<Integer> variable(String path) {
    int id = 0;
    for (String step : path.split("/", -1)) {
      if (id < 0 || id >= objects.getNodesCount()) {
        return Optional.empty();
      }
      OptionalInt child =
          objects.getNodes(id).getChildrenList().stream()
              .filter(reference -> VariableKey.step(reference.getLocalName()).equals(step))
              .mapToInt(ObjectReference::getNodeId)
              .findFirst();
      if (child.isEmpty()) {
        return Optional.empty();
      }
      id = child.getAsInt();
    }
    return Optional.of(id);
  }
}
