package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedConcreteFunction;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedFunction;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.Struct.StructuredValue;
import org.tensorflow.proto.Struct.TensorSpecProto;
import org.tensorflow.proto.TensorShapeProto;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

/**
 * One function of the graph's library that calling a model in Python runs: a trace of a {@code
 * tf.function}, for arguments of certain shapes and types.
 *
 * @param function its name in the library
 * @param training what it is given as argument {@code training}; empty if it takes none, or a
 *     tensor
 * @param others all the arguments without {@code training}: equal for traces that differ in nothing
 *     else
 * @param arguments the tensors among the arguments, in the function's order
 * @param outputs how many results come before the losses
 * @param losses how many results are losses, which depend on the batch
 * @param outputNames the results' names, if the function returns a dictionary
 * @param boundInputs the objects that are passed after the arguments
 */
record CallTrace(
    String function,
    Optional<Boolean> training,
    StructuredValue others,
    List<Argument> arguments,
    int outputs,
    int losses,
    List<String> outputNames,
    List<Integer> boundInputs) {
  private static final String TRAINING = "training";

  /**
   * Functions of a Keras model and of a module, by the names of their attributes, those that return
   * losses first.
   */
  private static final List<String> CALLS =
      List.of(
          "call_and_return_all_conditional_losses",
          "call_and_return_conditional_losses",
          "__call__");

  /** A tensor that a function takes. */
  record Argument(String name, DataType dtype, TensorShapeProto shape) {}

  /**
   * The traces of the functions that calling the root object runs. Those that take or return other
   * things than dense tensors are left out.
   */
  static List<CallTrace> ofRoot(SavedObjectGraph objects) {
    Map<String, Integer> functions = new LinkedHashMap<>();
    if (objects.getNodesCount() > 0) {
      addChildren(objects, 0, functions);
      Integer keras = functions.get("keras_api");
      if (keras != null) {
        addChildren(objects, keras, functions);
      }
    }
    List<CallTrace> traces = new ArrayList<>();
    for (String name : CALLS) {
      Integer id = functions.get(name);
      if (id == null || !objects.getNodes(id).hasFunction()) {
        continue;
      }
      SavedFunction function = objects.getNodes(id).getFunction();
      for (String trace : function.getConcreteFunctionsList()) {
        SavedConcreteFunction concrete = objects.getConcreteFunctionsMap().get(trace);
        if (concrete != null) {
          of(trace, function, concrete, !name.equals("__call__")).ifPresent(traces::add);
        }
      }
    }
    return traces;
  }

  /** Whether a result can be a certain one of a signature's outputs, by its name. */
  boolean mayBe(int result, String output, Set<String> all) {
    boolean named = outputNames.size() == outputs && outputNames.containsAll(all);
    return !named || outputNames.get(result).equals(output);
  }

  private static void addChildren(SavedObjectGraph objects, int id, Map<String, Integer> children) {
    for (ObjectReference child : objects.getNodes(id).getChildrenList()) {
      if (child.getNodeId() >= 0 && child.getNodeId() < objects.getNodesCount()) {
        children.putIfAbsent(child.getLocalName(), child.getNodeId());
      }
    }
  }

  private static Optional<CallTrace> of(
      String name, SavedFunction function, SavedConcreteFunction concrete, boolean withLosses) {
    StructuredValue given = concrete.getCanonicalizedInputSignature();
    if (isComposite(given) || isComposite(concrete.getOutputSignature())) {
      return Optional.empty();
    }
    List<Argument> arguments = new ArrayList<>();
    addTensors(given, arguments);
    StructuredValue result = concrete.getOutputSignature();
    List<Argument> losses = new ArrayList<>();
    if (withLosses && result.getTupleValue().getValuesCount() == 2) {
      addTensors(result.getTupleValue().getValues(1), losses);
      result = result.getTupleValue().getValues(0);
    }
    List<Argument> outputs = new ArrayList<>();
    addTensors(result, outputs);
    StructuredValue.Builder others = given.toBuilder();
    Optional<Boolean> training = takeTraining(others, names(function));
    return Optional.of(
        new CallTrace(
            name,
            training,
            others.build(),
            List.copyOf(arguments),
            outputs.size(),
            losses.size(),
            result.hasDictValue()
                ? result.getDictValue().getFieldsMap().keySet().stream().sorted().toList()
                : List.of(),
            concrete.getBoundInputsList()));
  }

  /** The names of the positional arguments. */
  private static List<String> names(SavedFunction function) {
    StructuredValue names =
        function.getFunctionSpec().getFullargspec().getNamedTupleValue().getValuesList().stream()
            .filter(pair -> pair.getKey().equals("args"))
            .map(pair -> pair.getValue())
            .findFirst()
            .orElse(StructuredValue.getDefaultInstance());
    List<String> list =
        names.getListValue().getValuesList().stream().map(StructuredValue::getStringValue).toList();
    return !list.isEmpty() && list.get(0).equals("self") ? list.subList(1, list.size()) : list;
  }

  /** Takes {@code training} out of the arguments, wherever it is. */
  private static Optional<Boolean> takeTraining(StructuredValue.Builder given, List<String> names) {
    if (given.getTupleValue().getValuesCount() != 2) {
      return Optional.empty();
    }
    var both = given.getTupleValueBuilder();
    StructuredValue none = StructuredValue.getDefaultInstance();
    var named = both.getValuesBuilder(1).getDictValueBuilder();
    StructuredValue value = named.getFieldsOrDefault(TRAINING, none);
    named.removeFields(TRAINING);
    int place = names.indexOf(TRAINING);
    var positional = both.getValuesBuilder(0).getTupleValueBuilder();
    if (place >= 0 && place < positional.getValuesCount()) {
      value = positional.getValues(place);
      positional.setValues(place, none);
    }
    return switch (value.getKindCase()) {
      case BOOL_VALUE -> Optional.of(value.getBoolValue());
      case INT64_VALUE -> Optional.of(value.getInt64Value() != 0);
      default -> Optional.empty();
    };
  }

  /** Adds the tensors of a structure in the order in which Python flattens it. */
  private static void addTensors(StructuredValue value, List<Argument> tensors) {
    if (value.hasTensorSpecValue()) {
      TensorSpecProto spec = value.getTensorSpecValue();
      tensors.add(new Argument(spec.getName(), spec.getDtype(), spec.getShape()));
    }
    children(value).forEach(child -> addTensors(child, tensors));
  }

  /** Whether a structure holds something that is no tensor but is made of tensors. */
  private static boolean isComposite(StructuredValue value) {
    return value.hasTypeSpecValue()
        || value.hasBoundedTensorSpecValue()
        || children(value).stream().anyMatch(CallTrace::isComposite);
  }

  private static List<StructuredValue> children(StructuredValue value) {
    return switch (value.getKindCase()) {
      case LIST_VALUE -> value.getListValue().getValuesList();
      case TUPLE_VALUE -> value.getTupleValue().getValuesList();
      case DICT_VALUE ->
          value.getDictValue().getFieldsMap().entrySet().stream()
              .sorted(Map.Entry.comparingByKey())
              .map(Map.Entry::getValue)
              .toList();
      case NAMED_TUPLE_VALUE ->
          value.getNamedTupleValue().getValuesList().stream().map(pair -> pair.getValue()).toList();
      default -> List.of();
    };
  }
}
