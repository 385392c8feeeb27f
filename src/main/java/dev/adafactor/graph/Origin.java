package dev.adafactor.graph;

import org.tensorflow.GraphOperation;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.types.family.TNumber;

/**
 * What a loss is differentiated by.
 *
 * @param output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, or a tensor of
 *     floats, such as the whole of a variable in shards
 * @param shape of the value
 * @param type of the value
 */
record Origin(Output<?> output, Shape shape, Class<? extends TNumber> type) {

  static Origin of(Output<?> output) {
    if (!VariableView.isVariable(output.op())) {
      return new Origin(output, output.shape(), output.type().asSubclass(TNumber.class));
    }
    VariableView<?> view = VariableView.create((GraphOperation) output.op());
    return new Origin(output, view.shape(), view.type());
  }
}
