package dev.adafactor.finetune;

import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * How the devices of a job share a batch.
 *
 * @param devices one for each part; none where a batch is computed as a whole
 */
record BatchDivision(List<String> devices) {

  /** The mesh dimension along which batches are divided. */
  static final String DIMENSION = "batch";

  /** What the mesh of a job says. */
  static BatchDivision of(Optional<Mesh> mesh) {
    return new BatchDivision(
        mesh.filter(grid -> grid.containsDim(DIMENSION) && grid.dimSize(DIMENSION) > 1)
            .map(BatchDivision::devices)
            .orElse(List.of()));
  }

  /** The first device of each slice. */
  private static List<String> devices(Mesh mesh) {
    return Layout.batchSharded(mesh, DIMENSION, 1).shards().stream()
        .map(part -> mesh.device(part.owner()).toString())
        .toList();
  }

  /** Whether there are several parts. */
  boolean isDivided() {
    return !devices.isEmpty();
  }

  /**
   * Makes sure that each device has an example of each run.
   *
   * @param rows of an epoch
   * @param batchSize examples of a step
   * @param partSize examples of a run: those of a step, or fewer
   * @throws IllegalArgumentException if one would have none
   */
  void requireExamples(int rows, int batchSize, int partSize) {
    int last = (rows - 1) % batchSize + 1;
    int least =
        IntStream.of(Math.min(rows, batchSize), last)
            .map(batch -> (batch - 1) % partSize + 1)
            .min()
            .orElseThrow();
    if (least < devices.size()) {
      throw new IllegalArgumentException(
          ("mesh: %s=%d divides each batch, and of %d rows in batches of %d%s one has %d: choose a"
                  + " size that leaves each device an example, or a smaller mesh")
              .formatted(
                  DIMENSION,
                  devices.size(),
                  rows,
                  batchSize,
                  partSize < batchSize ? ", in parts of " + partSize + "," : "",
                  least));
    }
  }

  /** Consecutive rows for each of some parts, which differ by one row at most. */
  static Stream<int[]> divided(int[] rows, int parts) {
    return IntStream.range(0, parts)
        .mapToObj(
            part ->
                Arrays.copyOfRange(
                    rows, begin(rows.length, parts, part), begin(rows.length, parts, part + 1)));
  }

  /** The first parts are the larger ones. */
  private static int begin(int rows, int parts, int part) {
    return part * (rows / parts) + Math.min(part, rows % parts);
  }
}
