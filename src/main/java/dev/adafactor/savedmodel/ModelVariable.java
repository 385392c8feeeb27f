package dev.adafactor.savedmodel;

import dev.adafactor.graph.VariableView;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;

/**
 * A variable that a signature of a SavedModel uses.
 *
 * @param name the name that Python gave it, without {@code :0}; two variables of a model may have
 *     the same name
 * @param handle output of its {@code VarHandleOp} in the {@linkplain TrainableModel#graph() model's
 *     graph}: what to differentiate with respect to
 * @param shape shape of its value
 * @param dtype type of its value's elements
 * @param trainable whether Python counts it among the trainable variables
 */
public record ModelVariable(
    String name, Output<?> handle, Shape shape, DataType dtype, boolean trainable) {

  /** What tells the variable from others, whatever its handle. */
  public String key() {
    return VariableView.key(handle);
  }
}
