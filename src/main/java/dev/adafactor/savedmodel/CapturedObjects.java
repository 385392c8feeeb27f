package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedConcreteFunction;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;

/**
 * Which tensor of a model's graph each of its Python objects is: variables, tables, constants.
 *
 * <p>Names do not tell: two variables may have the same. The object graph does: it lists, for each
 * function, the objects that are passed to it after the arguments, and the calls in the graph pass
 * the tensors in that order. An object that no call in the graph takes is found by its name, if
 * nothing else has that.
 */
final class CapturedObjects {
  private final SavedObjectGraph objects;
  private final Map<Integer, String> tensors = new HashMap<>();
  private final Map<String, String> uniqueHandles = new HashMap<>();

  private CapturedObjects(SavedObjectGraph objects) {
    this.objects = objects;
  }

  static CapturedObjects of(MetaGraphDef model) {
    CapturedObjects captured = new CapturedObjects(model.getObjectGraphDef());
    forEach(model, captured.tensors::put);
    captured.readNames(model.getGraphDef());
    return captured;
  }

  /** The tensor that an object is; empty if that cannot be told. */
  Optional<String> tensor(int object) {
    if (tensors.containsKey(object)) {
      return Optional.of(tensors.get(object));
    }
    if (object < 0 || object >= objects.getNodesCount()) {
      return Optional.empty();
    }
    SavedObject saved = objects.getNodes(object);
    return switch (saved.getKindCase()) {
      case VARIABLE -> Optional.ofNullable(uniqueHandles.get(saved.getVariable().getName()));
      case CONSTANT -> Optional.of(saved.getConstant().getOperation());
      default -> Optional.empty();
    };
  }

  /**
   * Goes through the calls in a model's graph.
   *
   * @param captured is given each object that a function takes beside its arguments, and the tensor
   *     that the call passes for it
   */
  static void forEach(MetaGraphDef model, BiConsumer<Integer, String> captured) {
    Map<String, SavedConcreteFunction> functions =
        model.getObjectGraphDef().getConcreteFunctionsMap();
    for (NodeDef call : model.getGraphDef().getNodeList()) {
      String name = call.containsAttr("f") ? call.getAttrOrThrow("f").getFunc().getName() : "";
      SavedConcreteFunction function = functions.get(name);
      if (function == null) {
        continue;
      }
      List<String> inputs = Tensors.inputs(call);
      int first = inputs.size() - function.getBoundInputsCount();
      for (int i = Math.max(0, -first); i < function.getBoundInputsCount(); i++) {
        captured.accept(function.getBoundInputs(i), inputs.get(first + i));
      }
    }
  }

  /** Handles whose variable's name no other handle and no other variable has. */
  private void readNames(GraphDef graph) {
    List<String> names = new ArrayList<>();
    for (SavedObject object : objects.getNodesList()) {
      if (object.getKindCase() == SavedObject.KindCase.VARIABLE) {
        names.add(object.getVariable().getName());
      }
    }
    Set<String> repeated = new HashSet<>();
    Set<String> met = new HashSet<>();
    names.stream().filter(name -> !met.add(name)).forEach(repeated::add);
    for (NodeDef node : graph.getNodeList()) {
      if (node.getOp().equals("VarHandleOp") && node.containsAttr("shared_name")) {
        String name = node.getAttrOrThrow("shared_name").getS().toStringUtf8();
        if (uniqueHandles.put(name, node.getName()) != null) {
          repeated.add(name);
        }
      }
    }
    uniqueHandles.keySet().removeAll(repeated);
  }
}
