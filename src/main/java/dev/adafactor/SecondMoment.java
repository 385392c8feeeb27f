package dev.adafactor;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/** What is kept of the moving average of the squared gradients. */
sealed interface SecondMoment<T extends TNumber> {

  /** The tensors it consists of, in the order of {@link #with}. */
  List<Operand<T>> parts();

  /** The same kind of second moment, of other tensors. */
  SecondMoment<T> with(List<Operand<T>> parts);

  /** A second moment of the same kind whose tensors are functions of this one's. */
  default SecondMoment<T> map(
      UnaryOperator<Operand<T>> r, UnaryOperator<Operand<T>> c, UnaryOperator<Operand<T>> v) {
    return this instanceof Factored<T> factored
        ? new Factored<>(r.apply(factored.r()), c.apply(factored.c()))
        : new Full<>(v.apply(((Full<T>) this).v()));
  }

  /** A second moment of the same kind whose tensors are functions of this one's and another's. */
  default SecondMoment<T> combine(SecondMoment<T> other, BinaryOperator<Operand<T>> function) {
    List<Operand<T>> combined = new ArrayList<>();
    for (int i = 0; i < parts().size(); i++) {
      combined.add(function.apply(parts().get(i), other.parts().get(i)));
    }
    return with(combined);
  }

  /**
   * The second moments of several variables of one shape, each tensor with one more axis in front.
   *
   * @param moments at least one
   */
  static <T extends TNumber> SecondMoment<T> stacked(Ops tf, List<SecondMoment<T>> moments) {
    List<Operand<T>> stacks = new ArrayList<>();
    for (int i = 0; i < moments.get(0).parts().size(); i++) {
      int part = i;
      stacks.add(tf.stack(moments.stream().map(moment -> moment.parts().get(part)).toList()));
    }
    return moments.get(0).with(stacks);
  }

  /** The reverse of {@link #stacked}. */
  default List<SecondMoment<T>> unstacked(Ops tf, int count) {
    List<List<Output<T>>> parts =
        parts().stream().map(part -> tf.unstack(part, (long) count).output()).toList();
    List<SecondMoment<T>> moments = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int moment = i;
      moments.add(with(parts.stream().<Operand<T>>map(part -> part.get(moment)).toList()));
    }
    return moments;
  }

  /** A tensor that is a function of r and c, or of v. */
  default Operand<T> reduce(BinaryOperator<Operand<T>> factored, UnaryOperator<Operand<T>> full) {
    return this instanceof Factored<T> f
        ? factored.apply(f.r(), f.c())
        : full.apply(((Full<T>) this).v());
  }

  /** Rank 2 and more: the averages over the last axis, r, and over the last but one, c. */
  record Factored<T extends TNumber>(Operand<T> r, Operand<T> c) implements SecondMoment<T> {
    @Override
    public List<Operand<T>> parts() {
      return List.of(r, c);
    }

    @Override
    public SecondMoment<T> with(List<Operand<T>> parts) {
      return new Factored<>(parts.get(0), parts.get(1));
    }
  }

  /** Rank 0 and 1: the average itself. */
  record Full<T extends TNumber>(Operand<T> v) implements SecondMoment<T> {
    @Override
    public List<Operand<T>> parts() {
      return List.of(v);
    }

    @Override
    public SecondMoment<T> with(List<Operand<T>> parts) {
      return new Full<>(parts.get(0));
    }
  }
}
