package dev.adafactor.graph;

import java.util.List;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.Output;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Identity;
import org.tensorflow.op.core.RefSwitch;
import org.tensorflow.types.TBool;
import org.tensorflow.types.family.TNumber;

/** A {@code VariableV2}, as {@code tf.variable} makes it. */
final class ReferenceVariable<T extends TNumber> extends VariableView<T> {

  static final String OP_TYPE = "VariableV2";

  ReferenceVariable(GraphOperation op) {
    super(op, op.name());
  }

  /** Whether the tensor is a reference: the memory of a variable, which its next write changes. */
  static boolean isReference(Output<?> tensor) {
    return tensor.dataType().name().endsWith("_REF");
  }

  @Override
  public String key() {
    return "ref:" + op().name();
  }

  @Override
  public Operand<T> read(Ops tf) {
    return op().<T>output(0);
  }

  @Override
  public Operand<T> readAfter(Ops tf, Op write) {
    // Not the output of the write: that can be another variable's, or no tensor of this type.
    return tf.withControlDependencyOps(List.<Operation>of(write.op())).identity(read(tf));
  }

  @Override
  public Op assign(Ops tf, Operand<T> value) {
    return tf.assign(read(tf), value);
  }

  @Override
  public Op assignAdd(Ops tf, Operand<T> value) {
    return tf.assignAdd(read(tf), value);
  }

  @Override
  public Op assignSub(Ops tf, Operand<T> value) {
    return tf.assignSub(read(tf), value);
  }

  @Override
  public Op applyGradientDescent(Ops tf, Operand<T> rate, Operand<T> direction) {
    return tf.train.applyGradientDescent(read(tf), rate, direction);
  }

  @Override
  public Operand<T> share(Ops tf) {
    return read(tf);
  }

  @Override
  public Op subtractRows(Ops tf, Operand<? extends TNumber> rows, Operand<T> values) {
    return tf.scatterSub(read(tf), rows, values);
  }

  @Override
  public Op subtractAt(Ops tf, Operand<? extends TNumber> indices, Operand<T> values) {
    return tf.scatterNdSub(read(tf), indices, values);
  }

  @Override
  public Op assignRows(Ops tf, Operand<? extends TNumber> rows, Operand<T> values) {
    return tf.scatterUpdate(read(tf), rows, values);
  }

  @Override
  public Op afterRows(Ops tf, List<Op> writes) {
    return Group.of(tf, writes);
  }

  @Override
  public Operand<T> initialValue(Ops init) {
    Operand<T> initializer = initializerValue("Assign");
    if (initializer == null) {
      return init.identity(read(init));
    }
    // Not a control dependency on the Assign: it would reset a variable that is trained already.
    Operand<TBool> initialized = init.isVariableInitialized(read(init));
    RefSwitch<T> own = init.refSwitch(read(init), initialized);
    Identity<T> trained = init.identity(own.outputTrue());
    Operand<T> first = init.switchCond(initializer, initialized).outputFalse();
    return init.merge(List.of(trained, first)).output();
  }
}
