package dev.adafactor.savedmodel;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.Output;

/**
 * A device's part in a training step: it computes what {@link TrainableModel#training()} does, of a
 * part of the batch, with variables of its own that have the values of the model's.
 *
 * @param device as operations name it; empty where TensorFlow chooses, for all of a batch
 * @param inputs the placeholders to feed, by the names that the signature gives its inputs
 * @param training what it computes
 * @param randomness as {@link TrainableModel#randomness}
 * @param variables the handles of its variables, by the model's
 */
public record ModelTower(
    Optional<String> device,
    Map<String, Output<?>> inputs,
    ModelFunction training,
    Optional<Output<?>> randomness,
    Map<ModelVariable, Output<?>> variables) {

  /** Keeps copies of the maps, in their order. */
  public ModelTower {
    inputs = Collections.unmodifiableMap(new LinkedHashMap<>(inputs));
    variables = Collections.unmodifiableMap(new LinkedHashMap<>(variables));
  }
}
