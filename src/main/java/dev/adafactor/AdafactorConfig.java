package dev.adafactor;

import dev.adafactor.schedules.LearningRateSchedule;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/**
 * The arguments of tf_keras's {@code Adafactor.__init__}, {@code numerics} and {@code
 * transientBytes}.
 *
 * @param learningRate a schedule; a {@link Constant} for a number
 */
record AdafactorConfig(
    LearningRateSchedule learningRate,
    double beta2Decay,
    double epsilon1,
    double epsilon2,
    double clipThreshold,
    boolean relativeStep,
    OptionalDouble weightDecay,
    OptionalDouble clipnorm,
    OptionalDouble clipvalue,
    OptionalDouble globalClipnorm,
    boolean useEma,
    double emaMomentum,
    OptionalInt emaOverwriteFrequency,
    JitCompile jitCompile,
    String name,
    Numerics numerics,
    long transientBytes) {

  /** A learning rate given as a number, which {@link Adafactor#setLearningRate} can change. */
  record Constant(float value) implements LearningRateSchedule {
    @Override
    public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
      return tf.constant(value);
    }
  }
}
