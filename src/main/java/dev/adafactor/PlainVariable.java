package dev.adafactor;

import dev.adafactor.graph.Placement;
import dev.adafactor.graph.Snapshots;
import dev.adafactor.graph.VariableView;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/** A variable in one piece. */
record PlainVariable(VariableView<?> view) implements LogicalVariable {

  @Override
  public String name() {
    return view.name();
  }

  @Override
  public String key() {
    return view.key();
  }

  @Override
  public PlainVariable requireWhole() {
    view.shardOf()
        .ifPresent(
            whole -> {
              throw new IllegalArgumentException(
                  ("'%s' is a shard of variable '%s', which is trained as a whole: give the"
                          + " ShardedVariable, as in minimize(loss, variables)")
                      .formatted(view.name(), whole));
            });
    return this;
  }

  @Override
  public Operand<?> operand() {
    return view.output();
  }

  @Override
  public List<VariableView<?>> parts() {
    return List.of(view);
  }

  @Override
  public List<Gradient> gradient(Placement placement, GradAndVar<?> pair) {
    requireWhole();
    Output<?> values = pair.getGradient();
    if (values == null || values.isClosed()) {
      return List.of();
    }
    // The gradient may be another variable itself, which this step writes too.
    Ops beside = placement.beside(view).ops();
    Operand<? extends TNumber> indices =
        IndexedSlices.from(pair)
            .<Operand<? extends TNumber>>map(IndexedSlices::indices)
            .orElse(null);
    return List.of(Gradient.checked(placement, view, Snapshots.of(beside, values), indices));
  }

  @Override
  public <S extends TNumber> Operand<S> join(
      Ops tf, Placement placement, String name, List<Operand<S>> ofParts) {
    return ofParts.get(0);
  }

  @Override
  public <S extends TNumber> List<Operand<S>> cut(Ops tf, String name, Operand<S> whole) {
    return List.of(whole);
  }

  @Override
  public Op spread(Placement placement, int part, Op written, Operand<? extends TNumber> rows) {
    return written;
  }
}
