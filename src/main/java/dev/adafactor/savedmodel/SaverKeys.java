package dev.adafactor.savedmodel;

import dev.adafactor.files.VariableKey;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef.ArgDef;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

/**
 * Which variables of a model's graph its saver writes, and under which keys: those of functions,
 * and those that no function takes, such as an optimizer's.
 */
final class SaverKeys {
  /** The inputs of a {@code SaveV2} before this one are the file, the keys and the slices. */
  private static final int FIRST_SAVED = 3;

  private final SavedObjectGraph objects;
  private final Map<String, NodeDef> nodes;
  private final Map<String, String> handles = new LinkedHashMap<>();

  private SaverKeys(MetaGraphDef metaGraph) {
    objects = metaGraph.getObjectGraphDef();
    nodes = Nodes.byName(metaGraph.getGraphDef().getNodeList());
    NodeDef call = nodes.get(Tensors.node(metaGraph.getSaverDef().getSaveTensorName()));
    if (call != null && call.containsAttr("f")) {
      String saver = call.getAttrOrThrow("f").getFunc().getName();
      metaGraph.getGraphDef().getLibrary().getFunctionList().stream()
          .filter(function -> function.getSignature().getName().equals(saver))
          .findFirst()
          .ifPresent(function -> read(call, function));
    }
  }

  /** Reads a model's saver; without a function of its own, as in TensorFlow 1, it tells nothing. */
  static SaverKeys of(MetaGraphDef metaGraph) {
    return new SaverKeys(metaGraph);
  }

  /** The names of {@code VarHandleOp}s, by the keys of their values. */
  Map<String, String> handles() {
    return Collections.unmodifiableMap(handles);
  }

  /** The names of {@code VarHandleOp}s, by the index of the object that the key leads to. */
  Map<Integer, String> handlesByObject() {
    Map<Integer, String> found = new HashMap<>();
    handles.forEach(
        (key, handle) ->
            VariableKey.path(key).flatMap(this::object).ifPresent(id -> found.put(id, handle)));
    return found;
  }

  private void read(NodeDef call, FunctionDef saver) {
    Map<String, NodeDef> steps = Nodes.byName(saver.getNodeDefList());
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
          String handle = Tensors.node(passed.get(argument));
          if (nodes.containsKey(handle) && nodes.get(handle).getOp().equals("VarHandleOp")) {
            handles.put(keys.get(i), handle);
          }
        }
      }
    }
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

  /** The object at the end of a path through the tree of objects. */
  private Optional<Integer> object(String path) {
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
