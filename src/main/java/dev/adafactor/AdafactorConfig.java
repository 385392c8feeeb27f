package dev.adafactor;

import dev.adafactor.schedules.LearningRateSchedule;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * The arguments of tf_keras's {@code Adafactor.__init__}, and {@code numerics}.
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
    Numerics numerics) {

  /** A learning rate given as a number, which {@link Adafactor#setLearningRate} can change. */
  record Constant(float value) implements LearningRateSchedule {
    @Override
    public org.tensorflow.Operand<org.tensorflow.types.TFloat32> learningRate(
        org.tensorflow.op.Ops tf, org.tensorflow.Operand<org.tensorflow.types.TInt64> step) {
      return tf.constant(value);
    }
  }
}
