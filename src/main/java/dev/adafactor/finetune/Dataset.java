package dev.adafactor.finetune;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Arrays with the same number of rows, a row for each example, before it is known what the model
 * takes.
 *
 * @param role what the user knows the data by: "" or "validation "
 * @param features by the name of the input, {@link DataFiles#ONLY_INPUT} for the only one
 */
record Dataset(String role, Map<String, Rows> features, Rows labels, Optional<Rows> sampleWeights) {

  /** The two parts of a data set that was split. */
  record Split(Dataset training, Dataset validation) {}

  /**
   * Opens all files and checks that they have the same number of rows.
   *
   * @throws IllegalArgumentException if they have not, or none, or too many
   */
  static Dataset open(String role, DataFiles files) throws IOException {
    Rows labels = Rows.open(files.labels().orElseThrow());
    Map<String, Rows> features = new LinkedHashMap<>();
    for (Map.Entry<String, Path> feature : files.features().entrySet()) {
      Rows rows = Rows.open(feature.getValue());
      requireSameRows(role, "features", rows, labels);
      features.put(feature.getKey(), rows);
    }
    Optional<Rows> weights = Optional.empty();
    if (files.sampleWeights().isPresent()) {
      Rows rows = Rows.open(files.sampleWeights().get());
      requireSameRows(role, "sample weights", rows, labels);
      weights = Optional.of(rows);
    }
    if (labels.rows() == 0 || labels.rows() > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "%slabels %s has %d rows; 1 to 2^31 - 9 are wanted"
              .formatted(role, labels.path(), labels.rows()));
    }
    return new Dataset(role, features, labels, weights);
  }

  private static void requireSameRows(String role, String what, Rows rows, Rows labels) {
    if (rows.rows() != labels.rows()) {
      throw new IllegalArgumentException(
          "%s%s %s has %d rows, %slabels %s has %d; each example needs both"
              .formatted(role, what, rows.path(), rows.rows(), role, labels.path(), labels.rows()));
    }
  }

  /**
   * Keeps the last examples for validation: as many as tf_keras does.
   *
   * @param fraction of the examples to keep, between 0 and 1
   * @throws IllegalArgumentException if one part had no examples
   */
  Split split(double fraction) {
    long first = (long) Math.floor(labels.rows() * (1.0 - fraction));
    if (first == 0 || first == labels.rows()) {
      throw new IllegalArgumentException(
          "the validation split of %s leaves %d of %d examples to train on; both parts need some"
              .formatted(fraction, first, labels.rows()));
    }
    return new Split(
        part(role, rows -> new RowRange(rows, 0, first)),
        part("validation ", rows -> new RowRange(rows, first, rows.rows() - first)));
  }

  private Dataset part(String partRole, UnaryOperator<Rows> range) {
    Map<String, Rows> parts = new LinkedHashMap<>();
    features.forEach((input, rows) -> parts.put(input, range.apply(rows)));
    return new Dataset(partRole, parts, range.apply(labels), sampleWeights.map(range));
  }
}
