package dev.adafactor;

import dev.adafactor.graph.Constants;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/** The scalars of one step, added once for each type. */
final class SharedScalars {

  private final Constants constants;
  private final AdafactorConfig config;
  private final Operand<TFloat32> learningRate;
  private final Operand<TInt64> iterations;
  private final Map<List<Class<?>>, Scalars<?>> known = new HashMap<>();

  SharedScalars(
      Constants constants,
      AdafactorConfig config,
      Operand<TFloat32> learningRate,
      Operand<TInt64> iterations) {
    this.constants = constants;
    this.config = config;
    this.learningRate = learningRate;
    this.iterations = iterations;
  }

  /** Those of a type, for variables of a type. */
  @SuppressWarnings("unchecked") // Kept by type.
  <C extends TNumber> Scalars<C> of(Class<C> type, Class<? extends TNumber> variableType) {
    return (Scalars<C>)
        known.computeIfAbsent(
            List.of(type, variableType),
            key -> Scalars.of(constants, type, variableType, config, learningRate, iterations));
  }

  /** What must have been computed before the step is counted. */
  List<Op> beforeCounting() {
    return known.values().stream()
        .<Op>flatMap(scalars -> Stream.of(scalars.rho(), scalars.beta2()))
        .toList();
  }
}
