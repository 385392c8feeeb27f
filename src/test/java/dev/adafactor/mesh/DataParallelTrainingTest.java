package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Elements;
import dev.adafactor.VariableKind;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.exceptions.TFInvalidArgumentException;

class DataParallelTrainingTest {
  private static final Mesh CPUS = Mesh.virtualCpus("x=4");
  private static final int STEPS = 4;

  private static List<String> cpus(int count) {
    return CPUS.devices().subList(0, count);
  }

  private static TowerTraining training(
      VariableKind kind, boolean sparse, int rows, TowerTraining.Losses losses) {
    return new TowerTraining(
        kind, sparse, rows, CPUS, losses, graph -> TowerTraining.Opened.here(graph, CPUS));
  }

  private static TowerTraining undivided(VariableKind kind, boolean sparse, int rows) {
    return training(kind, sparse, rows, TowerTraining.Losses.UNDIVIDED);
  }

  private static TowerTraining divided(VariableKind kind, boolean sparse, int rows, int devices) {
    return training(kind, sparse, rows, TowerTraining.Losses.divided(cpus(devices)));
  }

  static Stream<Arguments> trainings() {
    return Stream.of(VariableKind.values())
        .flatMap(
            kind ->
                Stream.of(false, true)
                    .flatMap(
                        sparse ->
                            Stream.of(1, 2, 4)
                                .map(devices -> Arguments.of(kind, sparse, devices))));
  }

  @ParameterizedTest
  @MethodSource("trainings")
  void trainsAsOnTheWholeBatch(VariableKind kind, boolean sparse, int devices) {
    trainsAsOnTheWholeBatch(kind, sparse, devices, 8, 8);
    trainsAsOnTheWholeBatch(kind, sparse, devices, 7, -1);
  }

  /** Where the graph knows how many rows each device gets. */
  @Test
  void unevenPartsCountByTheirRows() {
    trainsAsOnTheWholeBatch(VariableKind.REFERENCE, false, 4, 7, 7);
    trainsAsOnTheWholeBatch(VariableKind.RESOURCE, true, 3, 8, 8);
  }

  private static void trainsAsOnTheWholeBatch(
      VariableKind kind, boolean sparse, int devices, int rows, int known) {
    try (TowerTraining whole = undivided(kind, sparse, known);
        TowerTraining divided = divided(kind, sparse, known, devices)) {
      assertArrayEquals(whole.variables(), divided.variables());
      for (int step = 0; step < STEPS; step++) {
        assertEquals(whole.step(rows, step), divided.step(rows, step), 1e-12);
      }
      Elements.assertClose(whole.variables(), divided.variables(), 1e-12);
    }
  }

  @ParameterizedTest
  @EnumSource
  void batchesOfAnySizeFollowEachOther(VariableKind kind) {
    try (TowerTraining whole = undivided(kind, true, -1);
        TowerTraining divided = divided(kind, true, -1, 3)) {
      for (int rows : new int[] {3, 10, 4, 17}) {
        assertEquals(whole.step(rows, rows), divided.step(rows, rows), 1e-12);
      }
      Elements.assertClose(whole.variables(), divided.variables(), 1e-12);
    }
  }

  @ParameterizedTest
  @EnumSource
  void tooFewRowsChangeNothing(VariableKind kind) {
    try (TowerTraining training = divided(kind, true, -1, 4)) {
      double[] before = training.variables();
      TFInvalidArgumentException e =
          assertThrows(TFInvalidArgumentException.class, () -> training.step(3, 1));
      assertTrue(e.getMessage().contains("part 4 of 4 of the batch has no row"), e.getMessage());
      assertArrayEquals(before, training.variables());
    }
  }

  @ParameterizedTest
  @MethodSource("trainings")
  void gradientsRunOnTheDeviceOfTheirTower(VariableKind kind, boolean sparse, int devices) {
    try (TowerTraining training = divided(kind, sparse, -1, devices)) {
      Map<String, Set<Integer>> expected = new TreeMap<>();
      IntStream.range(0, devices).forEach(i -> expected.put("/device:CPU:" + i, Set.of(i)));
      assertEquals(expected, training.towers(9));
      assertEquals(
          Set.copyOf(cpus(devices)), training.devicesOfProducts(9, TowerTraining.BACKWARD));
    }
  }

  /** That the test above would tell. */
  @ParameterizedTest
  @EnumSource
  void tensorFlowsOwnGradientsAreComputedOnOneDevice(VariableKind kind) {
    TowerTraining.Losses unpinned =
        (tf, batch, model) ->
            tf.identity(TowerTraining.Losses.divided(cpus(4)).of(tf, batch, model));
    try (TowerTraining training = training(kind, false, -1, unpinned)) {
      assertEquals(
          Set.of("/device:CPU:0"), training.devicesOfProducts(9, Pattern.compile("gradients/.*")));
    }
  }
}
