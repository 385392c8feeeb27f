package dev.adafactor.finetune;

import java.util.Map;
import java.util.Optional;
import org.tensorflow.ndarray.Shape;

/**
 * How much each example counts in a loss: the sum of weight times loss, divided by the number of
 * examples (not by the sum of the weights), as in tf_keras.
 *
 * @param sampleWeights shape of the array of weights, its rows first; empty if all are 1
 * @param classWeights by class; a class that is not named has weight 1
 */
record Weighting(Optional<Shape> sampleWeights, Map<Integer, Double> classWeights) {
  static final Weighting NONE = new Weighting(Optional.empty(), Map.of());

  /**
   * The weight of each class.
   *
   * @param output shape of the model's output
   * @throws IllegalArgumentException if the loss knows no classes, or not those that are named
   */
  double[] ofClasses(Loss loss, Shape output) {
    boolean one = output.numDimensions() == 1 || output.get(-1) == 1;
    if (!loss.isClassification() || !(loss.isCategorical() || one)) {
      throw new IllegalArgumentException(
          "class weights: with %s and an output of shape %s an example has no class"
              .formatted(loss, output));
    }
    int classes = loss.isCategorical() ? (int) output.get(-1) : 2;
    double[] weights = new double[classes];
    for (int i = 0; i < classes; i++) {
      weights[i] = classWeights.getOrDefault(i, 1.0);
    }
    classWeights.keySet().stream()
        .filter(name -> name < 0 || name >= classes)
        .findFirst()
        .ifPresent(
            name -> {
              throw new IllegalArgumentException(
                  "class weights: there is no class %d; wanted is a class from 0 to %d"
                      .formatted(name, classes - 1));
            });
    return weights;
  }

  /**
   * The shape in which weights are fed: one for each example, or for each position of it.
   *
   * @param weights shape of the array of weights
   * @param positions shape of the losses
   */
  static Shape fed(Shape weights, Shape positions) {
    int rank = weights.numDimensions();
    while (rank > 1 && (rank > positions.numDimensions() || weights.get(rank - 1) == 1)) {
      rank--;
    }
    return positions.take(rank);
  }
}
