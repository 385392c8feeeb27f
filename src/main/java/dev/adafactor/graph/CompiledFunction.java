package dev.adafactor.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import org.tensorflow.ConcreteFunction;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperationBuilder;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.Output;
import org.tensorflow.Signature;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TType;

/**
 * A function of a graph whose every call XLA compiles to one program: values in, values out. Reads
 * and assignments of variables stay outside.
 */
public final class CompiledFunction {

  /** The type of the operations that call it, and their attribute that names it. */
  static final String CALL = "PartitionedCall";

  static final String FUNCTION = "f";

  private final ConcreteFunction function;
  private final DataType[] outputTypes;

  private CompiledFunction(ConcreteFunction function, DataType[] outputTypes) {
    this.function = function;
    this.outputTypes = outputTypes;
  }

  /** The type and shape of an argument. */
  public record Argument(Class<? extends TType> type, Shape shape) {}

  /**
   * Adds the function to the graph.
   *
   * @param name unique in the graph
   * @param body adds the operations: arguments in, results out
   */
  public static CompiledFunction create(
      Graph graph,
      String name,
      List<Argument> arguments,
      BiFunction<Ops, List<Operand<?>>, List<? extends Operand<?>>> body) {
    try (Graph inner = new Graph()) {
      Ops tf = Ops.create(inner);
      Signature.Builder signature = Signature.builder(name);
      List<Operand<?>> inputs = new ArrayList<>();
      for (Argument argument : arguments) {
        Operand<?> input = tf.placeholder(argument.type(), Placeholder.shape(argument.shape()));
        inputs.add(input);
        signature.input("in" + inputs.size(), input);
      }
      List<? extends Operand<?>> outputs = body.apply(tf, inputs);
      DataType[] types = new DataType[outputs.size()];
      for (int i = 0; i < types.length; i++) {
        types[i] = outputs.get(i).asOutput().dataType();
        signature.output("out" + i, outputs.get(i));
      }
      ConcreteFunction function = ConcreteFunction.create(signature.build(), inner);
      graph.attachFunction(function);
      return new CompiledFunction(function, types);
    }
  }

  /** Calls the function. */
  public List<Output<?>> call(Ops tf, List<? extends Operand<?>> arguments) {
    // By value: a function takes no references.
    Output<?>[] inputs =
        arguments.stream()
            .map(argument -> tf.identity(argument).asOutput())
            .toArray(Output<?>[]::new);
    GraphOperationBuilder call =
        (GraphOperationBuilder)
            tf.scope().env().opBuilder(CALL, tf.scope().makeOpName("Update"), tf.scope());
    call.addInputList(inputs)
        .setAttr("Tout", outputTypes)
        .setAttr(FUNCTION, function)
        .setAttr("_XlaMustCompile", true);
    Operation op = call.build();
    return List.of(op.outputList(0, outputTypes.length));
  }
}
