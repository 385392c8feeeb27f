package dev.adafactor.savedmodel;

/** Which of a model's functions are trained. */
public enum Mode {
  /** Those it was trained with in Python: dropout drops, batch normalization learns statistics. */
  TRAINING,

  /** Those it predicts with. */
  INFERENCE
}
