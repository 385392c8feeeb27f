package dev.adafactor.savedmodel;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.stream.LongStream;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.TensorProto;

/**
 * Whole numbers of a graph that are known before it runs: constants, and what is picked from the
 * shapes of its inputs.
 */
final class StaticNumbers {
  private final Map<String, NodeDef> nodes;
  private final Function<NodeDef, Shape> shapes;

  /**
   * A scalar or a vector.
   *
   * @param elements each where it is known
   */
  private record Numbers(boolean scalar, List<OptionalLong> elements) {
    boolean isKnown() {
      return elements.stream().allMatch(OptionalLong::isPresent);
    }
  }

  /**
   * Looks at a graph.
   *
   * @param nodes its nodes by name
   * @param shapes the shape of a placeholder, as far as it is known
   */
  StaticNumbers(Map<String, NodeDef> nodes, Function<NodeDef, Shape> shapes) {
    this.nodes = nodes;
    this.shapes = shapes;
  }

  /** Whether two tensors are known, and hold the same numbers in the same shape. */
  boolean areSame(String first, String second) {
    Optional<Numbers> numbers = of(first);
    return numbers.isPresent() && numbers.get().isKnown() && numbers.equals(of(second));
  }

  /** The elements of a tensor, if all are known. */
  Optional<List<Long>> known(String tensor) {
    return of(tensor)
        .filter(Numbers::isKnown)
        .map(numbers -> numbers.elements.stream().map(OptionalLong::getAsLong).toList());
  }

  private Optional<Numbers> of(String tensor) {
    NodeDef node = nodes.get(Tensors.node(tensor));
    if (node == null || Tensors.index(tensor) != 0) {
      return Optional.empty();
    }
    List<String> inputs = Tensors.inputs(node);
    if (inputs.isEmpty() && !node.getOp().equals("Const")) {
      return Optional.empty();
    }
    return switch (node.getOp()) {
      case "Const" -> constant(attribute(node, "value").getTensor());
      case "Identity" -> of(inputs.get(0));
      case "Shape" -> shape(inputs.get(0));
      case "StridedSlice" -> element(node, inputs);
      case "Pack" -> pack(inputs);
      default -> Optional.empty();
    };
  }

  private static AttrValue attribute(NodeDef node, String name) {
    return node.getAttrOrDefault(name, AttrValue.getDefaultInstance());
  }

  private static Optional<Numbers> constant(TensorProto tensor) {
    int rank = tensor.getTensorShape().getDimCount();
    boolean wide = tensor.getDtype() == DataType.DT_INT64;
    if (rank > 1 || !(wide || tensor.getDtype() == DataType.DT_INT32)) {
      return Optional.empty();
    }
    long size = rank == 0 ? 1 : tensor.getTensorShape().getDim(0).getSize();
    ByteBuffer content =
        tensor.getTensorContent().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    LongStream values;
    if (content.hasRemaining()) {
      values =
          LongStream.generate(() -> wide ? content.getLong() : content.getInt())
              .limit(content.remaining() / (wide ? Long.BYTES : Integer.BYTES));
    } else if (wide) {
      values = tensor.getInt64ValList().stream().mapToLong(Long::longValue);
    } else {
      values = tensor.getIntValList().stream().mapToLong(Integer::longValue);
    }
    List<OptionalLong> elements = values.mapToObj(OptionalLong::of).toList();
    // Protocol buffers may leave out repetitions, which no shape needs.
    return elements.size() == size
        ? Optional.of(new Numbers(rank == 0, elements))
        : Optional.empty();
  }

  private Optional<Numbers> shape(String tensor) {
    NodeDef node = nodes.get(Tensors.node(tensor));
    while (node != null && node.getOp().equals("Identity")) {
      node = nodes.get(Tensors.node(node.getInput(0)));
    }
    if (node == null || !node.getOp().equals("Placeholder")) {
      return Optional.empty();
    }
    Shape shape = shapes.apply(node);
    if (shape.isUnknown()) {
      return Optional.empty();
    }
    List<OptionalLong> elements = new ArrayList<>();
    for (long size : shape.asArray()) {
      elements.add(size < 0 ? OptionalLong.empty() : OptionalLong.of(size));
    }
    return Optional.of(new Numbers(false, elements));
  }

  /** One element of a vector, as {@code shape[1]} is in Python. */
  private Optional<Numbers> element(NodeDef slice, List<String> inputs) {
    boolean one =
        inputs.size() > 1
            && attribute(slice, "shrink_axis_mask").getI() == 1
            && attribute(slice, "begin_mask").getI() == 0
            && attribute(slice, "new_axis_mask").getI() == 0
            && attribute(slice, "ellipsis_mask").getI() == 0;
    if (!one) {
      return Optional.empty();
    }
    Optional<Numbers> vector = of(inputs.get(0));
    Optional<Numbers> begin = of(inputs.get(1));
    if (vector.isEmpty()
        || vector.get().scalar
        || begin.isEmpty()
        || !begin.get().isKnown()
        || begin.get().elements.size() != 1) {
      return Optional.empty();
    }
    List<OptionalLong> elements = vector.get().elements;
    long given = begin.get().elements.get(0).getAsLong();
    long index = given < 0 ? given + elements.size() : given;
    return index < 0 || index >= elements.size()
        ? Optional.empty()
        : Optional.of(new Numbers(true, List.of(elements.get((int) index))));
  }

  private Optional<Numbers> pack(List<String> inputs) {
    List<OptionalLong> elements = new ArrayList<>();
    for (String input : inputs) {
      Optional<Numbers> element = of(input);
      if (element.isEmpty() || !element.get().scalar) {
        return Optional.empty();
      }
      elements.addAll(element.get().elements);
    }
    return Optional.of(new Numbers(false, elements));
  }
}
