package dev.adafactor.savedmodel;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.Output;

/**
 * What a model's own training signature gives: it takes a batch with its labels, and returns the
 * loss and the gradients of the variables.
 *
 * @param loss the loss of the batch, a scalar
 * @param gradients the gradient of each variable that the signature trains, of the variable's shape
 *     and type
 * @param inputs the placeholders to feed, by name: the features, {@value #LABELS} and, if the
 *     signature has them, {@value #SAMPLE_WEIGHTS}
 * @param accuracy the share of right answers in the batch, a scalar
 */
public record ProvidedGradients(
    Output<?> loss,
    Map<ModelVariable, Output<?>> gradients,
    Map<String, Output<?>> inputs,
    Optional<Output<?>> accuracy) {
  /** Name of the input that takes the labels. */
  public static final String LABELS = "labels";

  /** Name of the input that takes a weight for each example. */
  public static final String SAMPLE_WEIGHTS = "sample_weights";

  /** Name of the output that is the loss. */
  public static final String LOSS = "loss";

  /** Name of the output that is the share of right answers. */
  public static final String ACCURACY = "accuracy";

  /** What the names of the outputs that are gradients begin with, before the variable's name. */
  public static final String GRADIENT = "gradient/";

  public ProvidedGradients {
    gradients = Collections.unmodifiableMap(new LinkedHashMap<>(gradients));
    inputs = Collections.unmodifiableMap(new LinkedHashMap<>(inputs));
  }
}
