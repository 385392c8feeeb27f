package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.FunctionDefLibrary;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

/**
 * Branches and loops that ask for no devices, as the flat graph itself does not: their operations
 * run beside what calls them, on whichever device that is.
 *
 * <p>A model's functions may ask for some (Python's {@code tf.device}). Its graph has them as they
 * are: what a flat graph calls of them becomes a copy.
 */
final class AnyDevice {
  private final Map<String, FunctionDef> functions = new HashMap<>();
  private final Set<String> names;

  /** Of the flat graph alone. */
  private final Set<String> own = new HashSet<>();

  private final Map<String, Boolean> asking = new HashMap<>();

  /** The copies, by what they are copies of. */
  private final Map<String, String> copies = new HashMap<>();

  private final Map<String, FunctionDef> rewritten = new LinkedHashMap<>();

  private AnyDevice(FunctionDefLibrary model, FunctionDefLibrary added) {
    model.getFunctionList().forEach(each -> functions.put(each.getSignature().getName(), each));
    for (FunctionDef each : added.getFunctionList()) {
      functions.put(each.getSignature().getName(), each);
      own.add(each.getSignature().getName());
    }
    this.names = new HashSet<>(functions.keySet());
  }

  /**
   * Rewrites the functions of a flat graph.
   *
   * @param flat with functions that were added in its library
   * @param model the graph with the library that it names other functions of
   */
  static FlatGraph of(FlatGraph flat, GraphDef model) {
    AnyDevice anyDevice = new AnyDevice(model.getLibrary(), flat.graphDef().getLibrary());
    return new FlatGraph(anyDevice.rewrite(flat.graphDef()), flat.tensors(), flat.randomness());
  }

  private GraphDef rewrite(GraphDef flat) {
    GraphDef.Builder graph = flat.toBuilder().clearNode();
    flat.getNodeList().forEach(node -> graph.addNode(calling(node)));
    List<FunctionDef> library = new ArrayList<>();
    for (FunctionDef function : flat.getLibrary().getFunctionList()) {
      library.add(rewrite(function, function.getSignature().getName()));
    }
    library.addAll(rewritten.values());
    graph.getLibraryBuilder().clearFunction().addAllFunction(library);
    return graph.build();
  }

  private FunctionDef rewrite(FunctionDef function, String name) {
    FunctionDef.Builder copy = function.toBuilder().clearNodeDef();
    copy.getSignatureBuilder().setName(name);
    function
        .getNodeDefList()
        .forEach(node -> copy.addNodeDef(calling(node).toBuilder().clearDevice()));
    return copy.build();
  }

  /** The node with the names of the functions that it calls now. */
  private NodeDef calling(NodeDef node) {
    NodeDef.Builder copy = node.toBuilder().setOp(name(node.getOp()));
    node.getAttrMap()
        .forEach(
            (attribute, value) -> {
              AttrValue.Builder called = value.toBuilder();
              if (value.hasFunc()) {
                called.getFuncBuilder().setName(name(value.getFunc().getName()));
              }
              for (int i = 0; i < value.getList().getFuncCount(); i++) {
                called
                    .getListBuilder()
                    .getFuncBuilder(i)
                    .setName(name(value.getList().getFunc(i).getName()));
              }
              copy.putAttr(attribute, called.build());
            });
    return copy.build();
  }

  /** What a function is called that asks for no device. */
  private String name(String function) {
    if (own.contains(function) || !asks(function)) {
      return function;
    }
    String known = copies.get(function);
    if (known == null) {
      known = unique(function + "_anywhere");
      copies.put(function, known);
      rewritten.put(known, rewrite(functions.get(function), known));
    }
    return known;
  }

  /** Whether a function asks for a device, or one that it calls. */
  private boolean asks(String function) {
    if (!functions.containsKey(function)) {
      return false;
    }
    Boolean known = asking.get(function);
    if (known == null) {
      // Until it is known: a function that contains itself is refused elsewhere.
      asking.put(function, false);
      known =
          functions.get(function).getNodeDefList().stream()
              .anyMatch(
                  node -> !node.getDevice().isEmpty() || Library.calls(node).anyMatch(this::asks));
      asking.put(function, known);
    }
    return known;
  }

  private String unique(String name) {
    String free = name;
    for (int i = 1; !names.add(free); i++) {
      free = name + "_" + i;
    }
    return free;
  }
}
