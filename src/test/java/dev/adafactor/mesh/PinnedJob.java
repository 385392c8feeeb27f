package dev.adafactor.mesh;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * {@link PinnedTraining} as a process of its own: {@code CLUSTER FOLDER STEPS TIMEOUT_MS} goes on
 * from the last checkpoint in the folder, says the number of each step that is done, and saves
 * every few of them and at the end.
 */
public final class PinnedJob {
  /** Of a process that ends since another one has. */
  static final int LOST = 3;

  /** After so many steps it saves. */
  static final int EVERY = 3;

  static final String SAVING = "saving";

  private PinnedJob() {}

  public static void main(String[] arguments) throws IOException {
    Path folder = Path.of(arguments[1]);
    long steps = Long.parseLong(arguments[2]);
    int exitCode = 0;
    try (PinnedTraining training =
        new PinnedTraining(
            Cluster.parse(List.of(arguments[0])),
            Duration.ofMillis(Long.parseLong(arguments[3])),
            builder -> builder.useEma(true))) {
      training.resume(folder);
      long step = training.iterations();
      System.out.println(step);
      while (step < steps) {
        training.step();
        step = training.iterations();
        System.out.println(step);
        if (step % EVERY == 0 || step == steps) {
          save(training, folder);
        }
      }
    } catch (ClusterException e) {
      System.out.println(e.getMessage());
      exitCode = LOST;
    }
    System.exit(exitCode);
  }

  /** Without a checkpoint the job goes on; why there is none, the next step tells. */
  private static void save(PinnedTraining training, Path folder) {
    System.out.println(SAVING);
    try {
      training.save(folder);
    } catch (IOException e) {
      System.out.println(e.getMessage());
    }
  }
}
