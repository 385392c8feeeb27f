package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.finetune.Digits;
import dev.adafactor.mesh.WorkerProcesses;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** For jobs that processes of a cluster do. */
abstract class ClusterFixture extends ProgramFixture {

  /** A job on the digits, to which options can be added. */
  static List<String> job(Path export, String... more) {
    List<String> command =
        new ArrayList<>(
            List.of(
                "fine-tune",
                "--model=" + Digits.MODEL,
                "--features=" + Digits.TRAIN_IMAGES,
                "--labels=" + Digits.TRAIN_LABELS,
                "--loss=sparse-categorical-crossentropy",
                "--learning-rate=0.03",
                "--use-ema",
                "--batch-size=160",
                "--epochs=2",
                "--export=" + export));
    command.addAll(List.of(more));
    return command;
  }

  static List<String> withEpochs(int epochs, List<String> job) {
    List<String> command = new ArrayList<>(job);
    command.replaceAll(each -> each.startsWith("--epochs=") ? "--epochs=" + epochs : each);
    return command;
  }

  /** Options that have two workers do a job. */
  static String[] onCluster(WorkerProcesses workers, Duration timeout, String... more) {
    return Stream.concat(
            Stream.of(
                "--mesh=x=2",
                "--cluster=" + workers.cluster(),
                "--operation-timeout=" + timeout.toSeconds()),
            Stream.of(more))
        .toArray(String[]::new);
  }

  static byte[] variables(Path model) throws IOException {
    return Files.readAllBytes(model.resolve("variables/variables.data-00000-of-00001"));
  }

  /** Does a job here; gives what it has exported. */
  final byte[] done(List<String> command, Path export) throws IOException {
    assertEquals(0, run(command), err::toString);
    return variables(export);
  }
}
