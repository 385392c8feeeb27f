package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import java.nio.file.Path;

/** The bundled model and its data. */
public final class Digits {
  public static final Path MODEL = Path.of("savedmodels", "digits");
  public static final Path TRAIN_IMAGES = data("train-images.npy");
  public static final Path TRAIN_LABELS = data("train-labels.npy");
  public static final Path TEST_IMAGES = data("test-images.npy");
  public static final Path TEST_LABELS = data("test-labels.npy");

  private Digits() {}

  private static Path data(String file) {
    return Path.of("savedmodels", "digits-data", file);
  }

  /** A job on the training data. */
  static FineTuning.Builder job() {
    return FineTuning.builder(MODEL, Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
        .features(TRAIN_IMAGES)
        .labels(TRAIN_LABELS)
        .optimizer(graph -> Adafactor.builder(graph).learningRate(0.03).build());
  }
}
