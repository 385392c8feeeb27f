package dev.adafactor;

/** Whether XLA compiles the update. */
public enum JitCompile {
  /** Never. */
  OFF,

  /** Where TensorFlow finds a GPU, as tf_keras's {@code jit_compile=True}. */
  WHERE_GPU,

  /** Everywhere, CPUs included. */
  ALWAYS
}
