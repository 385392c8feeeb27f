package dev.adafactor.finetune;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Where examples lie on disk: {@code .npy} files, or folders of them.
 *
 * @param features by the name of the input, {@link #ONLY_INPUT} for the only one
 */
record DataFiles(Map<String, Path> features, Optional<Path> labels, Optional<Path> sampleWeights) {

  /** Stands for the name of the input where a model has but one. */
  static final String ONLY_INPUT = "";

  static final DataFiles NONE = new DataFiles(Map.of(), Optional.empty(), Optional.empty());

  DataFiles {
    features = Collections.unmodifiableMap(new LinkedHashMap<>(features));
  }

  boolean isEmpty() {
    return equals(NONE);
  }

  DataFiles withFeatures(String input, Path file) {
    Map<String, Path> more = new LinkedHashMap<>(features);
    more.put(input, file);
    return new DataFiles(more, labels, sampleWeights);
  }

  DataFiles withLabels(Path file) {
    return new DataFiles(features, Optional.of(file), sampleWeights);
  }

  DataFiles withSampleWeights(Path file) {
    return new DataFiles(features, labels, Optional.of(file));
  }
}
