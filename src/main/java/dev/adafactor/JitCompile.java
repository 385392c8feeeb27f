package dev.adafactor;

/**
 * Whether XLA compiles the update: to one program for each type and shape of variables, in the
 * first step and never again.
 *
 * <p>A program does not write to its arguments: while it runs, it takes the memory of one more
 * variable of its shape, which then becomes the variable's. On CPUs it is slower than TensorFlow's
 * operations: XLA writes down what it sums up there.
 */
public enum JitCompile {
  /** Never. */
  OFF,

  /** Where TensorFlow finds a GPU, as tf_keras's {@code jit_compile=True}. */
  WHERE_GPU,

  /** Everywhere, CPUs included. */
  ALWAYS
}
