package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.tensorflow.ndarray.Shape;

class LossTest {
  @Test
  void namesTakeDashesAndUnderscores() {
    for (Loss loss : Loss.values()) {
      assertEquals(loss, Loss.of(loss.toString()));
      assertEquals(loss, Loss.of(loss.toString().replace('-', '_')));
    }
    assertEquals("binary-crossentropy", Loss.BINARY_CROSSENTROPY.toString());
  }

  @Test
  void anUnknownNameIsAnsweredByThoseThereAre() {
    String message =
        assertThrows(IllegalArgumentException.class, () -> Loss.of("hinge")).getMessage();
    assertTrue(message.contains("'hinge'") && message.contains("mean-squared-error"), message);
  }

  @Test
  void labelsAreCheckedAgainstTheLoss() {
    Loss sparse = Loss.SPARSE_CATEGORICAL_CROSSENTROPY;
    assertTrue(sparse.acceptedLabels(10).test(9));
    assertFalse(sparse.acceptedLabels(10).test(10));
    assertFalse(sparse.acceptedLabels(10).test(-1));
    assertEquals("a class from 0 to 9", sparse.wantedLabels(10));
    assertTrue(Loss.BINARY_CROSSENTROPY.acceptedLabels(1).test(0.5));
    assertFalse(Loss.BINARY_CROSSENTROPY.acceptedLabels(1).test(2));
    assertFalse(Loss.BINARY_CROSSENTROPY.acceptedLabels(1).test(Double.NaN));
    assertTrue(Loss.MEAN_SQUARED_ERROR.acceptedLabels(1).test(-1e30));
    assertFalse(Loss.MEAN_SQUARED_ERROR.acceptedLabels(1).test(Double.POSITIVE_INFINITY));
  }

  @Test
  void labelsOfAnotherLossAreKnownByTheirShape() {
    Shape output = Shape.of(-1, 10);
    Shape classes = Shape.of(5);
    Shape oneHot = Shape.of(5, 10);
    Loss sparse = Loss.SPARSE_CATEGORICAL_CROSSENTROPY;
    assertTrue(sparse.betterFor(output, classes).isEmpty());
    assertTrue(
        sparse.betterFor(output, oneHot).orElseThrow().endsWith(" categorical-crossentropy"));
    for (Loss loss : List.of(Loss.CATEGORICAL_CROSSENTROPY, Loss.BINARY_CROSSENTROPY)) {
      assertTrue(loss.betterFor(output, oneHot).isEmpty());
      assertTrue(loss.betterFor(output, classes).orElseThrow().contains("loss sparse-"));
      assertTrue(loss.betterFor(output, Shape.of(5, 1)).isPresent());
      assertTrue(loss.betterFor(Shape.of(-1, 1), classes).isEmpty());
    }
    assertTrue(Loss.MEAN_SQUARED_ERROR.betterFor(output, classes).isEmpty());
  }
}
