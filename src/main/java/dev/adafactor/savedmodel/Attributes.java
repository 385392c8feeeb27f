package dev.adafactor.savedmodel;

import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/**
 * The attributes that an operation or a function is called with.
 *
 * @param owner the operation or function, for messages
 * @param values the values, defaults included
 */
record Attributes(String owner, Map<String, AttrValue> values) {
  private static final int LONGEST_LIST = 1_000_000;

  /** The attributes given, and the defaults of those that are not. */
  static Attributes of(OpDef op, Map<String, AttrValue> given) {
    Map<String, AttrValue> values = new HashMap<>();
    for (OpDef.AttrDef attribute : op.getAttrList()) {
      if (attribute.hasDefaultValue()) {
        values.put(attribute.getName(), attribute.getDefaultValue());
      }
    }
    values.putAll(given);
    return new Attributes(op.getName(), values);
  }

  /** The element types of an argument or result: one, or one for each tensor of a list. */
  List<DataType> types(OpDef.ArgDef argument) {
    if (!argument.getTypeListAttr().isEmpty()) {
      return require(argument.getTypeListAttr()).getList().getTypeList();
    }
    DataType type =
        argument.getTypeAttr().isEmpty()
            ? argument.getType()
            : require(argument.getTypeAttr()).getType();
    long count = argument.getNumberAttr().isEmpty() ? 1 : require(argument.getNumberAttr()).getI();
    if (count < 0 || count > LONGEST_LIST) {
      throw new IllegalArgumentException(
          String.format("'%s' has a list of %d tensors", owner, count));
    }
    return Collections.nCopies((int) count, type);
  }

  /** A node of a function's body, with the function's own attributes put in where it names them. */
  NodeDef bind(NodeDef node) {
    if (node.getAttrMap().values().stream().noneMatch(Attributes::isOpen)) {
      return node;
    }
    return node.toBuilder().putAllAttr(bind(node.getAttrMap())).build();
  }

  private Map<String, AttrValue> bind(Map<String, AttrValue> attributes) {
    Map<String, AttrValue> bound = new HashMap<>();
    attributes.forEach((key, value) -> bound.put(key, bind(value)));
    return bound;
  }

  private AttrValue bind(AttrValue value) {
    return switch (value.getValueCase()) {
      case PLACEHOLDER -> require(value.getPlaceholder());
      case FUNC -> value.toBuilder().setFunc(bind(value.getFunc())).build();
      case LIST -> {
        AttrValue.Builder list = value.toBuilder();
        list.getListBuilder()
            .clearFunc()
            .addAllFunc(value.getList().getFuncList().stream().map(this::bind).toList());
        yield list.build();
      }
      default -> value;
    };
  }

  private NameAttrList bind(NameAttrList function) {
    return function.toBuilder().putAllAttr(bind(function.getAttrMap())).build();
  }

  private static boolean isOpen(AttrValue value) {
    return switch (value.getValueCase()) {
      case PLACEHOLDER -> true;
      case FUNC -> value.getFunc().getAttrMap().values().stream().anyMatch(Attributes::isOpen);
      case LIST ->
          value.getList().getFuncList().stream()
              .anyMatch(f -> f.getAttrMap().values().stream().anyMatch(Attributes::isOpen));
      default -> false;
    };
  }

  private AttrValue require(String key) {
    AttrValue value = values.get(key);
    if (value == null) {
      throw new IllegalArgumentException(
          String.format("'%s' is used without its attribute '%s'", owner, key));
    }
    return value;
  }
}
