package dev.adafactor.graph;

import java.util.List;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.SwitchCond;
import org.tensorflow.op.train.ResourceApplyGradientDescent;
import org.tensorflow.types.TBool;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** A {@code VarHandleOp}, as Python exports it. */
final class ResourceVariable<T extends TNumber> extends VariableView<T> {

  static final String OP_TYPE = "VarHandleOp";

  ResourceVariable(GraphOperation op) {
    super(op, sharedName(op));
  }

  private static String sharedName(GraphOperation op) {
    String sharedName = attribute(op, "shared_name");
    return sharedName.isEmpty() ? op.name() : sharedName;
  }

  /** By way of the proto: {@code getAttrString} of an empty string gives what lies in memory. */
  private static String attribute(GraphOperation op, String name) {
    return op.attributes().getAttrValueProto(name).getS().toStringUtf8();
  }

  @Override
  public String key() {
    return "resource:" + attribute(op(), "container") + ":" + name();
  }

  private Operand<? extends TType> handle() {
    return op().<TType>output(0);
  }

  @Override
  public Operand<T> read(Ops tf) {
    return tf.readVariableOp(handle(), type());
  }

  @Override
  public Operand<T> readAfter(Ops tf, Op write) {
    return read(tf.withControlDependencyOps(List.<Operation>of(write.op())));
  }

  @Override
  public Op assign(Ops tf, Operand<T> value) {
    return tf.assignVariableOp(handle(), value);
  }

  @Override
  public Op assignAdd(Ops tf, Operand<T> value) {
    return tf.assignAddVariableOp(handle(), value);
  }

  @Override
  public Op assignSub(Ops tf, Operand<T> value) {
    return tf.assignSubVariableOp(handle(), value);
  }

  @Override
  public Op applyGradientDescent(Ops tf, Operand<T> rate, Operand<T> direction) {
    // Locked: else a read that comes after the start may be of the memory that is being written.
    return tf.train.resourceApplyGradientDescent(
        handle(), rate, direction, ResourceApplyGradientDescent.useLocking(true));
  }

  @Override
  public Operand<T> share(Ops tf) {
    return readAfter(tf, tf.io.disableCopyOnRead(handle()));
  }

  @Override
  public Op subtractRows(Ops tf, Operand<? extends TNumber> rows, Operand<T> values) {
    return tf.resourceScatterSub(handle(), rows, values);
  }

  @Override
  public Op subtractAt(Ops tf, Operand<? extends TNumber> indices, Operand<T> values) {
    return tf.resourceScatterNdSub(handle(), indices, values);
  }

  @Override
  public Op assignRows(Ops tf, Operand<? extends TNumber> rows, Operand<T> values) {
    return tf.resourceScatterUpdate(handle(), rows, values);
  }

  @Override
  public Op afterRows(Ops tf, List<Op> writes) {
    // TensorFlow copies the whole variable in each read after the first write to rows.
    return tf.withControlDependencies(writes).io.disableCopyOnRead(handle());
  }

  @Override
  public Operand<T> initialValue(Ops init) {
    Operand<T> initializer = initializerValue("AssignVariableOp");
    if (initializer == null) {
      return read(init);
    }
    // Not a control dependency on the assignment: it would reset a variable that is trained
    // already.
    Operand<TBool> initialized = init.varIsInitializedOp(handle()).isInitialized();
    SwitchCond<? extends TType> own = init.switchCond(handle(), initialized);
    Operand<T> trained = init.readVariableOp(own.outputTrue(), type());
    Operand<T> first = init.switchCond(initializer, initialized).outputFalse();
    return init.merge(List.of(trained, first)).output();
  }
}
