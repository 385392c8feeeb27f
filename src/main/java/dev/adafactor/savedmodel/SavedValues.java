package dev.adafactor.savedmodel;

import dev.adafactor.files.TensorBundle;
import dev.adafactor.files.TensorKind;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef.ArgDef;

/**
 * Holds the values that a model's graph restores to those that are saved beside it: TensorFlow puts
 * a value of any shape into a variable, and what uses it later need not survive that.
 */
final class SavedValues {
  private static final String RESTORE = "RestoreV2";
  private static final String ASSIGN = "AssignVariableOp";
  private static final int KEYS = 1;
  private static final int SLICES = 2;

  private final Path prefix;
  private final Map<String, TensorKind> saved;
  private final Map<String, NodeDef> nodes = new HashMap<>();

  /** For each function, what the graph's first call of it passes. */
  private final Map<String, List<String>> passed = new HashMap<>();

  private SavedValues(Path prefix, Map<String, TensorKind> saved, GraphDef graph) {
    this.prefix = prefix;
    this.saved = saved;
    for (NodeDef node : graph.getNodeList()) {
      nodes.put(node.getName(), node);
      if (node.containsAttr("f")) {
        String function = node.getAttrOrThrow("f").getFunc().getName();
        passed.putIfAbsent(function, Tensors.inputs(node));
      }
    }
  }

  /**
   * Checks that each value that is restored is there, of the type and shape of its variable.
   *
   * @param prefix what the names of the files with the values begin with
   * @throws IOException if one is not, or a file is missing, cut off or damaged
   */
  static void require(GraphDef graph, Path prefix) throws IOException {
    Map<String, TensorKind> saved;
    try {
      saved = TensorBundle.read(prefix).tensors();
    } catch (IOException e) {
      throw new IOException("The model's variables are missing or damaged: " + e.getMessage(), e);
    }
    SavedValues values = new SavedValues(prefix, saved, graph);
    values.require(graph.getNodeList(), Map.of());
    for (FunctionDef function : graph.getLibrary().getFunctionList()) {
      values.require(function.getNodeDefList(), values.arguments(function));
    }
  }

  private Map<String, String> arguments(FunctionDef function) {
    List<ArgDef> names = function.getSignature().getInputArgList();
    List<String> values = passed.getOrDefault(function.getSignature().getName(), List.of());
    Map<String, String> arguments = new HashMap<>();
    for (int i = 0; i < Math.min(names.size(), values.size()); i++) {
      arguments.put(names.get(i).getName(), values.get(i));
    }
    return arguments;
  }

  private void require(List<NodeDef> body, Map<String, String> arguments) throws IOException {
    if (body.stream().noneMatch(node -> node.getOp().equals(RESTORE))) {
      return;
    }
    Map<String, NodeDef> byName = Nodes.byName(body);
    Map<String, NodeDef> variables = new HashMap<>();
    for (NodeDef assign : body) {
      List<String> inputs = Tensors.inputs(assign);
      if (assign.getOp().equals(ASSIGN) && inputs.size() == 2) {
        String handle = Tensors.node(inputs.get(0));
        NodeDef variable = nodes.get(Tensors.node(arguments.getOrDefault(handle, handle)));
        if (variable != null && variable.getOp().equals("VarHandleOp")) {
          variables.put(origin(inputs.get(1), byName), variable);
        }
      }
    }
    for (NodeDef restore : body) {
      if (restore.getOp().equals(RESTORE)) {
        require(restore, byName, variables);
      }
    }
  }

  private void require(NodeDef restore, Map<String, NodeDef> body, Map<String, NodeDef> variables)
      throws IOException {
    List<String> keys = strings(restore, KEYS, body);
    List<String> slices = strings(restore, SLICES, body);
    List<Integer> types =
        restore
            .getAttrOrDefault("dtypes", AttrValue.getDefaultInstance())
            .getList()
            .getTypeValueList();
    for (int i = 0; i < keys.size(); i++) {
      Optional<NodeDef> variable = Optional.ofNullable(variables.get(restore.getName() + ":" + i));
      String key = keys.get(i);
      String name = variable.map(SavedValues::name).orElse(key);
      TensorKind kind = saved.get(key);
      if (kind == null) {
        throw new IOException(
            "The model's variable '%s' has no value: there is no '%s' in '%s.index'"
                .formatted(name, key, prefix));
      }
      boolean whole = i >= slices.size() || slices.get(i).isEmpty();
      boolean fits = i >= types.size() || types.get(i) == kind.dtype().getNumber();
      if (variable.isPresent() && whole) {
        TensorKind declared = declared(variable.get());
        fits &= declared.dtype() == kind.dtype() && isCompatible(declared.shape(), kind.shape());
        if (!fits) {
          throw new IOException(
              "The model's variable '%s' is %s, but its value '%s' in '%s.index' is %s"
                  .formatted(name, declared, key, prefix, kind));
        }
      } else if (!fits) {
        throw new IOException(
            "The model restores '%s' from '%s.index' as another type than it has there, %s"
                .formatted(key, prefix, kind));
      }
    }
  }

  private static TensorKind declared(NodeDef handle) {
    AttrValue none = AttrValue.getDefaultInstance();
    return new TensorKind(
        handle.getAttrOrDefault("dtype", none).getType(),
        Shapes.of(handle.getAttrOrDefault("shape", none).getShape()));
  }

  private static boolean isCompatible(Shape declared, Shape saved) {
    return declared.isUnknown() || declared.isCompatibleWith(saved);
  }

  private static String name(NodeDef handle) {
    String shared =
        handle
            .getAttrOrDefault("shared_name", AttrValue.getDefaultInstance())
            .getS()
            .toStringUtf8();
    return shared.isEmpty() ? handle.getName() : shared;
  }

  /** The result of a restoring node that a value passes on, as {@code node:index}. */
  private static String origin(String tensor, Map<String, NodeDef> body) {
    String name = tensor;
    Set<String> met = new HashSet<>();
    while (met.add(name)) {
      NodeDef node = body.get(Tensors.node(name));
      if (node == null || !node.getOp().equals("Identity") || node.getInputCount() == 0) {
        break;
      }
      name = node.getInput(0);
    }
    String index = name.substring(name.lastIndexOf(':') + 1);
    return Tensors.node(name) + ":" + (index.matches("\\d+") ? index : "0");
  }

  private static List<String> strings(NodeDef restore, int input, Map<String, NodeDef> body) {
    List<String> inputs = Tensors.inputs(restore);
    return input < inputs.size()
        ? Nodes.strings(Optional.ofNullable(body.get(Tensors.node(inputs.get(input)))))
        : List.of();
  }
}
