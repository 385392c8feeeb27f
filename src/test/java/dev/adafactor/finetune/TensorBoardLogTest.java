package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardLogTest {
  private static final TrainingListener.Step STEP =
      new TrainingListener.Step(1, 1, 32, 0.5, OptionalDouble.empty(), 0.1);

  @TempDir Path folder;

  @Test
  void leavesNothingBehindWhereNothingHappened() throws IOException {
    Path directory = folder.resolve("log");
    new TensorBoardLog(directory).close();
    assertFalse(Files.exists(directory));
  }

  @Test
  void writesOneFileForTheStepsAndOneForTheEpochs() throws IOException {
    Path directory = folder.resolve("deep/log");
    try (TensorBoardLog log = new TensorBoardLog(directory)) {
      log.stepped(STEP);
      log.epochEnded(
          new TrainingListener.Epoch(
              1, new Evaluation(1, OptionalDouble.empty(), 32), Optional.empty()));
      log.evaluatedAfter(new Evaluation(1, OptionalDouble.empty(), 32));
    }
    assertEquals(1, eventFiles(directory));
    assertEquals(1, eventFiles(directory.resolve("train")));
    assertFalse(Files.exists(directory.resolve("validation")));
  }

  private static long eventFiles(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(Files::isRegularFile).count();
    }
  }

  @Test
  void namesADirectoryThatCannotBeWritten() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    TensorBoardLog log = new TensorBoardLog(file);
    log.stepped(STEP); // The job goes on.
    String message = assertThrows(IOException.class, log::close).getMessage();
    assertTrue(message.contains(file.toString()), message);
  }
}
