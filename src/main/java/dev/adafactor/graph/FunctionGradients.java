package dev.adafactor.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tensorflow.GraphOperation;
import org.tensorflow.GraphOperationBuilder;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.TensorFlow;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NameAttrList;

/**
 * Gradients that functions of the graph's library compute.
 *
 * <p>TensorFlow's C API looks a gradient up by the type of the operation, for the whole process,
 * and has none for {@code IdentityN}. One is registered here: an {@code IdentityN} that names a
 * function in its attributes gets the gradients that the function returns, any other the
 * identity's. An operation with any gradient is therefore a function and an {@code IdentityN}
 * behind the operation.
 *
 * <p>An {@code IdentityN} that Python's {@code tf.custom_gradient} wrote is told by {@code
 * _gradient_op_type}; its function is not known here, so that its gradient is a call of an unknown
 * function of that name, with which the graph does not run: better than a silent identity.
 */
public final class FunctionGradients {
  /** Attribute with the function's name. */
  public static final String FUNCTION = "_gradient_function";

  /**
   * Attribute with the function's arguments: {@code i} below the number {@code n} of the
   * operation's outputs is output {@code i}, {@code n + i} the gradient of output {@code i}.
   */
  public static final String ARGUMENTS = "_gradient_arguments";

  /**
   * Attribute with the inputs, in the order of the function's results, of which it returns
   * gradients.
   */
  public static final String INPUTS = "_gradient_inputs";

  /** Attribute of Python's {@code tf.custom_gradient}. */
  public static final String PYTHON = "_gradient_op_type";

  private static final boolean REGISTERED =
      TensorFlow.registerCustomGradient("IdentityN", FunctionGradients::gradients);

  private FunctionGradients() {}

  /**
   * Makes sure that the gradients are known to TensorFlow.
   *
   * @throws IllegalStateException if other code of this process has registered another gradient
   */
  public static void register() {
    if (!REGISTERED) {
      throw new IllegalStateException(
          "another gradient of IdentityN is registered in this process; models cannot be trained");
    }
  }

  /** Runs under TensorFlow's lock on the graph: looking operations or shapes up would deadlock. */
  private static List<Operand<?>> gradients(
      Ops tf, GraphOperation op, List<Output<?>> outputGradients) {
    List<DataType> types = op.attributes().getAttrValueProto("T").getList().getTypeList();
    Optional<String> function = OperationAttributes.text(op, FUNCTION);
    if (function.isEmpty()) {
      List<Operand<?>> identity = new ArrayList<>();
      for (int i = 0; i < types.size(); i++) {
        identity.add(gradient(tf, op, outputGradients, i));
      }
      return OperationAttributes.text(op, PYTHON)
          .map(python -> call(tf, python, identity, types))
          .orElse(identity);
    }
    List<Operand<?>> arguments = new ArrayList<>();
    for (long argument : op.attributes().getAttrIntList(ARGUMENTS)) {
      int i = (int) argument;
      arguments.add(
          i < types.size() ? op.output(i) : gradient(tf, op, outputGradients, i - types.size()));
    }
    long[] inputs = op.attributes().getAttrIntList(INPUTS);
    List<DataType> resultTypes = new ArrayList<>();
    for (long input : inputs) {
      resultTypes.add(types.get((int) input));
    }
    List<Operand<?>> results = call(tf, function.get(), arguments, resultTypes);
    // What comes without a gradient stands behind a StopGradient: anything may be returned for it.
    List<Operand<?>> gradients = new ArrayList<>();
    for (int i = 0; i < types.size(); i++) {
      gradients.add(op.output(i));
    }
    for (int i = 0; i < inputs.length; i++) {
      gradients.set((int) inputs[i], results.get(i));
    }
    return gradients;
  }

  private static Operand<?> gradient(
      Ops tf, GraphOperation op, List<Output<?>> outputGradients, int output) {
    Output<?> gradient = outputGradients.get(output);
    return gradient.isClosed() ? tf.zerosLike(op.output(output)) : gradient;
  }

  private static List<Operand<?>> call(
      Ops tf, String function, List<Operand<?>> arguments, List<DataType> types) {
    GraphOperationBuilder call =
        (GraphOperationBuilder)
            tf.scope()
                .env()
                .opBuilder("PartitionedCall", tf.scope().makeOpName("Gradient"), tf.scope());
    call.addInputList(arguments.stream().map(Operand::asOutput).toArray(Output<?>[]::new));
    call.setAttr("Tout", types.toArray(DataType[]::new));
    call.setAttr(
        "f", AttrValue.newBuilder().setFunc(NameAttrList.newBuilder().setName(function)).build());
    return List.of(call.build().outputList(0, types.size()));
  }
}
