package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

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
}
