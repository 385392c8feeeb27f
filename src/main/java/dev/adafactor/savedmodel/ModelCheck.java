package dev.adafactor.savedmodel;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedConcreteFunction;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.TensorProto;
import org.tensorflow.proto.TensorShapeProto;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

/**
 * Refuses models that TensorFlow's native code would not refuse by itself: it would end the process
 * on them, take all memory, or leave variables without values.
 */
final class ModelCheck {
  /** What a tensor in a SavedModel can have at most: the file itself is not larger. */
  private static final long MOST_BYTES = 1L << 31;

  private static final int MOST_DIMENSIONS = 254;

  /** TensorFlow takes minutes to look at a name of a million characters. */
  private static final int LONGEST_NAME = 20_000;

  /** Types of a fixed width, whose values a tensor may hold as bytes. */
  private static final Set<DataType> PLAIN =
      Set.of(
          DataType.DT_BOOL,
          DataType.DT_INT8,
          DataType.DT_INT16,
          DataType.DT_INT32,
          DataType.DT_INT64,
          DataType.DT_UINT8,
          DataType.DT_UINT16,
          DataType.DT_UINT32,
          DataType.DT_UINT64,
          DataType.DT_HALF,
          DataType.DT_BFLOAT16,
          DataType.DT_FLOAT,
          DataType.DT_DOUBLE,
          DataType.DT_COMPLEX64,
          DataType.DT_COMPLEX128);

  private final MetaGraphDef model;
  private final CallFit calls;

  private ModelCheck(MetaGraphDef model) {
    this.model = model;
    this.calls = new CallFit(model.getGraphDef().getLibrary());
  }

  /**
   * Checks a model.
   *
   * @throws IOException if it is damaged; the message says where
   */
  static void require(MetaGraphDef model) throws IOException {
    new ModelCheck(model).require();
  }

  private void require() throws IOException {
    GraphDef graph = model.getGraphDef();
    require("the graph", graph.getNodeList());
    Set<String> functions = new HashSet<>();
    for (FunctionDef function : graph.getLibrary().getFunctionList()) {
      String name = function.getSignature().getName();
      if (!functions.add(name)) {
        throw damaged("two functions have the name '" + name + "'");
      }
      require("function '" + name + "'", function.getNodeDefList());
    }
    try {
      FunctionNesting.require(graph.getLibrary());
    } catch (IllegalArgumentException e) {
      throw new IOException("The model cannot be used: " + e.getMessage(), e);
    }
    requireRestoring(graph);
    requireObjects(model.getObjectGraphDef());
  }

  /** The objects of Python refer to one another by number. */
  private static void requireObjects(SavedObjectGraph objects) throws IOException {
    for (SavedObject object : objects.getNodesList()) {
      for (ObjectReference child : object.getChildrenList()) {
        requireObject(objects, child.getNodeId(), "'" + child.getLocalName() + "'");
      }
    }
    for (Map.Entry<String, SavedConcreteFunction> function :
        objects.getConcreteFunctionsMap().entrySet()) {
      for (int input : function.getValue().getBoundInputsList()) {
        requireObject(objects, input, "what function '" + function.getKey() + "' captures");
      }
    }
  }

  private static void requireObject(SavedObjectGraph objects, int id, String what)
      throws IOException {
    if (id < 0 || id >= objects.getNodesCount()) {
      throw damaged("%s is object %d of %d".formatted(what, id, objects.getNodesCount()));
    }
  }

  private void require(String scope, List<NodeDef> nodes) throws IOException {
    Set<String> names = new HashSet<>();
    for (NodeDef node : nodes) {
      if (node.getName().length() > LONGEST_NAME || node.getDevice().length() > LONGEST_NAME) {
        throw damaged(
            "in %s a node has a name or device of more than %,d characters"
                .formatted(scope, LONGEST_NAME));
      }
      if (!names.add(node.getName())) {
        throw damaged("in %s two nodes have the name '%s'".formatted(scope, node.getName()));
      }
      for (Map.Entry<String, AttrValue> attribute : node.getAttrMap().entrySet()) {
        String place =
            "in %s, node '%s', attribute '%s'".formatted(scope, node.getName(), attribute.getKey());
        require(place, attribute.getValue());
      }
      calls.require(scope, node);
    }
  }

  private void require(String place, AttrValue value) throws IOException {
    switch (value.getValueCase()) {
      case SHAPE -> requireShape(place, value.getShape());
      case TENSOR -> requireTensor(place, value.getTensor());
      case LIST -> {
        for (TensorShapeProto shape : value.getList().getShapeList()) {
          requireShape(place, shape);
        }
        for (TensorProto tensor : value.getList().getTensorList()) {
          requireTensor(place, tensor);
        }
      }
      default -> {
        // Nothing to measure.
      }
    }
  }

  private void requireShape(String place, TensorShapeProto shape) throws IOException {
    if (shape.getDimCount() > MOST_DIMENSIONS) {
      throw damaged("%s has %d dimensions".formatted(place, shape.getDimCount()));
    }
    long elements = 1;
    for (TensorShapeProto.Dim dimension : shape.getDimList()) {
      if (dimension.getSize() < -1) {
        throw damaged("%s has a dimension of %d".formatted(place, dimension.getSize()));
      }
      try {
        elements = Math.multiplyExact(elements, Math.max(1, dimension.getSize()));
      } catch (ArithmeticException e) {
        throw damaged("%s has a shape of more elements than there can be".formatted(place));
      }
    }
  }

  private void requireTensor(String place, TensorProto tensor) throws IOException {
    TensorShapeProto shape = tensor.getTensorShape();
    requireShape(place, shape);
    if (shape.getUnknownRank()
        || shape.getDimList().stream().anyMatch(dimension -> dimension.getSize() < 0)) {
      throw damaged("%s is a tensor of unknown shape".formatted(place));
    }
    if (tensor.getDtype() == DataType.DT_INVALID
        || tensor.getDtype() == DataType.UNRECOGNIZED
        || tensor.getDtypeValue() > DataType.DT_FLOAT_REF_VALUE) {
      throw damaged("%s is a tensor of no known type".formatted(place));
    }
    long elements =
        shape.getDimList().stream()
            .mapToLong(TensorShapeProto.Dim::getSize)
            .reduce(1, (a, b) -> a * b);
    if (elements > MOST_BYTES / Tensors.width(tensor.getDtype())) {
      throw damaged("%s is a tensor of %,d elements".formatted(place, elements));
    }
    int bytes = tensor.getTensorContent().size();
    long wanted = elements * Tensors.width(tensor.getDtype());
    if (bytes > 0 && PLAIN.contains(tensor.getDtype()) && bytes != wanted) {
      throw damaged("%s is a tensor of %,d bytes that has %,d".formatted(place, wanted, bytes));
    }
  }

  /** Without it TensorFlow loads the model, but not the values of its variables. */
  private void requireRestoring(GraphDef graph) throws IOException {
    if (graph.getNodeList().stream().noneMatch(node -> node.getOp().equals("VarHandleOp"))) {
      return;
    }
    String restore = model.getSaverDef().getRestoreOpName();
    if (restore.isEmpty()) {
      throw damaged("it does not say which operation restores the variables");
    }
    if (graph.getNodeList().stream().noneMatch(node -> node.getName().equals(restore))) {
      throw damaged(
          "the operation '%s', which restores the variables, is missing".formatted(restore));
    }
  }

  private static IOException damaged(String what) {
    return new IOException("The model is damaged: " + what);
  }
}
