package dev.adafactor.savedmodel;

import com.google.protobuf.ByteString;
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
import org.tensorflow.Operation;
import org.tensorflow.OperationBuilder;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
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

  private static final String KEY_END = "/.ATTRIBUTES/VARIABLE_VALUE";

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
      Operation served = session.graph().operationOrThrow(pair.served());
      Operation loaded = session.graph().operationOrThrow(pair.loaded());
      DataType type = nodes.get(pair.served()).getAttrOrThrow("dtype").getType();
      Operation value =
          builder(tf, "ReadVariableOp").addInput(served.output(0)).setAttr("dtype", type).build();
      runner.addTarget(
          builder(tf, "AssignVariableOp")
              .addInput(loaded.output(0))
              .addInput(value.output(0))
              .setAttr("dtype", type)
              .build());
    }
    runner.run().close();
  }

  /** Not by a typed method: a variable may hold what has no type in Java. */
  private static OperationBuilder builder(Ops tf, String type) {
    return tf.scope().env().opBuilder(type, tf.scope().makeOpName(type), tf.scope());
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
      List<String> keys = keys(steps.get(Tensors.node(inputs.get(1))));
      for (int i = 0; i < Math.min(keys.size(), inputs.size() - FIRST_SAVED); i++) {
        int argument = arguments.indexOf(origin(inputs.get(FIRST_SAVED + i), steps));
        if (argument >= 0 && argument < passed.size()) {
          variable(keys.get(i)).ifPresent(id -> handles.put(id, passed.get(argument)));
        }
      }
    }
    return handles;
  }

  private static List<String> keys(NodeDef constant) {
    return constant == null
        ? List.of()
        : constant
            .getAttrOrDefault("value", AttrValue.getDefaultInstance())
            .getTensor()
            .getStringValList()
            .stream()
            .map(ByteString::toStringUtf8)
            .toList();
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

  /** The variable of a key, which is the path to it through the object graph. */
  private Optional<Integer> variable(String key) {
    if (!key.endsWith(KEY_END)) {
      return Optional.empty();
    }
    int id = 0;
    for (String step : key.substring(0, key.length() - KEY_END.length()).split("/", -1)) {
      OptionalInt child =
          id < 0 || id >= objects.getNodesCount()
              ? OptionalInt.empty()
              : objects.getNodes(id).getChildrenList().stream()
                  .filter(reference -> escaped(reference.getLocalName()).equals(step))
                  .mapToInt(ObjectReference::getNodeId)
                  .findFirst();
      if (child.isEmpty()) {
        return Optional.empty();
      }
      id = child.getAsInt();
    }
    return Optional.of(id);
  }

  /** A name as a step of a key. */
  private static String escaped(String localName) {
    return localName.replace(".", "..").replace("/", ".S");
  }
}
