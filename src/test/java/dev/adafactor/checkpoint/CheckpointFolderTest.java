package dev.adafactor.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.LogCapture;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointFolderTest {
  private static DigitsJob job;

  @TempDir Path temporary;
  private Path folder;
  private CheckpointFolder checkpoints;

  @BeforeAll
  static void load() throws IOException {
    job = new DigitsJob(builder -> builder);
  }

  @AfterAll
  static void close() {
    job.close();
  }

  @BeforeEach
  void name() {
    folder = temporary.resolve("checkpoints");
    checkpoints = new CheckpointFolder(folder, 2);
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void keepsTheNewest() throws IOException {
    assertTrue(checkpoints.isEmpty());
    assertEquals(Optional.empty(), restore("none"));
    for (long step : new long[] {2, 9, 10}) {
      checkpoints.save(job.state(), step, "at " + step);
    }
    assertEquals(
        List.of(
            "checkpoint",
            "ckpt-10.data-00000-of-00001",
            "ckpt-10.index",
            "ckpt-9.data-00000-of-00001",
            "ckpt-9.index"),
        files());
    assertEquals(
        """
        model_checkpoint_path: "ckpt-10"
        all_model_checkpoint_paths: "ckpt-9"
        all_model_checkpoint_paths: "ckpt-10"
        """,
        Files.readString(folder.resolve("checkpoint")));
    assertEquals(Optional.of(folder.resolve("ckpt-10")), restore("at 10"));
  }

  private Optional<Path> restore(String note) throws IOException {
    return restore(checkpoints, note);
  }

  private static Optional<Path> restore(CheckpointFolder from, String note) throws IOException {
    return from.resume(job.state(), content -> assertEquals(Optional.of(note), content.note()))
        .map(Restored::checkpoint);
  }

  @Test
  void takesTheOneBeforeWhereTheNewestIsDamaged() throws IOException {
    checkpoints.save(job.state(), 1, "one");
    checkpoints.save(job.state(), 2, "two");
    Path data = folder.resolve("ckpt-2.data-00000-of-00001");
    Files.write(data, Arrays.copyOf(Files.readAllBytes(data), 1000));
    try (LogCapture log = new LogCapture(CheckpointFolder.class)) {
      assertEquals(Optional.of(folder.resolve("ckpt-1")), restore("one"));
      assertTrue(log.messages().get(0).contains("ckpt-2"), () -> log.messages().get(0));
    }
    Files.delete(folder.resolve("ckpt-1.data-00000-of-00001"));
    String message = assertThrows(IOException.class, () -> restore("one")).getMessage();
    assertTrue(message.contains("none of the 2 checkpoints"), message);
  }

  /** Of what was written last, a power cut may leave any beginning, with zeros behind it or not. */
  @Test
  void takesTheOneBeforeWhereTheNewestIsCutOffAnywhere() throws IOException {
    checkpoints.save(job.state(), 1, "one");
    job.train(1);
    checkpoints.save(job.state(), 2, "two");
    long seed = new Random().nextLong();
    Random random = new Random(seed);
    try (LogCapture log = new LogCapture(CheckpointFolder.class)) {
      for (String name : List.of("ckpt-2.index", "ckpt-2.data-00000-of-00001")) {
        Path file = folder.resolve(name);
        byte[] whole = Files.readAllBytes(file);
        for (int length : lengths(whole.length, random)) {
          byte[] cut = Arrays.copyOf(whole, length);
          byte[] zeroed = Arrays.copyOf(cut, whole.length);
          for (byte[] left : List.of(cut, zeroed)) {
            Files.write(file, left);
            String place = "%s, %d of %d bytes, seed %d".formatted(name, length, left.length, seed);
            String wanted = Arrays.equals(left, whole) ? "two" : "one";
            Optional<Restored> restored = checkpoints.resume(job.state(), content -> {});
            assertEquals(
                Optional.of(folder.resolve(wanted.equals("two") ? "ckpt-2" : "ckpt-1")),
                restored.map(Restored::checkpoint),
                place);
          }
        }
        Files.write(file, whole);
      }
      assertTrue(log.messages().stream().allMatch(line -> line.contains("ckpt-2' is passed over")));
    }
  }

  /** All boundaries of what is in such files, and some in between. */
  private static Set<Integer> lengths(int whole, Random random) {
    Set<Integer> lengths = new TreeSet<>();
    for (int length : new int[] {0, 1, 4, 8, 4096, 48, 49, whole - 49, whole - 48, whole - 1}) {
      if (length < whole) {
        lengths.add(length);
      }
    }
    for (int i = 0; i < 10; i++) {
      lengths.add(random.nextInt(whole));
    }
    return lengths;
  }

  /** It only names the newest. */
  @Test
  void findsTheNewestWhereTheFileThatNamesItIsCutOff() throws IOException {
    checkpoints.save(job.state(), 1, "one");
    checkpoints.save(job.state(), 2, "two");
    Path file = folder.resolve("checkpoint");
    byte[] whole = Files.readAllBytes(file);
    try (LogCapture log = new LogCapture(CheckpointFolder.class)) {
      for (int length = 0; length < whole.length; length++) {
        Files.write(file, Arrays.copyOf(whole, length));
        assertEquals(Optional.of(folder.resolve("ckpt-2")), newest(), "length " + length);
      }
      assertTrue(
          log.messages().stream().allMatch(line -> line.contains("names no checkpoint")),
          () -> log.messages().toString());
    }
  }

  /** Which one is looked at first: it is refused there, before anything is restored. */
  private Optional<Path> newest() {
    List<Path> seen = new ArrayList<>();
    assertThrows(
        IllegalArgumentException.class,
        () ->
            checkpoints.resume(
                job.state(),
                content -> {
                  seen.add(content.files());
                  throw new IllegalArgumentException("seen");
                }));
    return seen.stream().findFirst();
  }

  @Test
  void keepsWhatItWritesAndDropsWhatWasDamaged() throws IOException {
    CheckpointFolder one = new CheckpointFolder(folder, 1);
    checkpoints.save(job.state(), 40, "forty");
    checkpoints.save(job.state(), 50, "fifty");
    Path data = folder.resolve("ckpt-50.data-00000-of-00001");
    Files.write(data, Arrays.copyOf(Files.readAllBytes(data), 1000));
    Files.writeString(folder.resolve("best-1000.index"), "somebody else's");
    try (LogCapture log = new LogCapture(CheckpointFolder.class)) {
      assertEquals(Optional.of(folder.resolve("ckpt-40")), restore(one, "forty"));
      assertEquals(2, log.messages().size());
    }
    one.save(job.state(), 45, "forty-five");
    assertEquals(
        List.of("best-1000.index", "checkpoint", "ckpt-45.data-00000-of-00001", "ckpt-45.index"),
        files());
    assertTrue(
        Files.readString(folder.resolve("checkpoint"))
            .startsWith("model_checkpoint_path: \"ckpt-45\""));
  }

  @Test
  void sweepsWhatAKilledRunLeft() throws IOException {
    checkpoints.save(job.state(), 1, "one");
    leaveHalfACheckpoint();
    Files.writeString(folder.resolve("best-2.data-00000-of-00001"), "somebody else's");
    List<String> kept =
        List.of(
            "best-2.data-00000-of-00001",
            "checkpoint",
            "ckpt-1.data-00000-of-00001",
            "ckpt-1.index");
    restore("one");
    assertEquals(kept, files());
    leaveHalfACheckpoint();
    checkpoints.save(job.state(), 1, "one");
    assertEquals(kept, files());
  }

  /** What is there when a run is killed before it writes the index, or before it moves it in. */
  private void leaveHalfACheckpoint() throws IOException {
    Path draft = Files.createDirectory(folder.resolve(".draft-of-a-killed-run"));
    Files.writeString(draft.resolve("ckpt-2.index"), "");
    Files.writeString(folder.resolve("ckpt-2.data-00000-of-00001"), "");
  }

  @Test
  void saysWhereItCannotWrite() throws IOException {
    Files.writeString(folder, "a file");
    assertThrows(IOException.class, () -> checkpoints.save(job.state(), 1, ""));
    assertThrows(IllegalArgumentException.class, () -> new CheckpointFolder(folder, 0));
  }

  @Test
  void removesALinkNotWhatItLeadsTo() throws IOException {
    checkpoints.save(job.state(), 1, "one");
    Path precious = Files.createDirectory(temporary.resolve("precious"));
    Files.writeString(precious.resolve("file"), "text");
    Files.createSymbolicLink(folder.resolve(".draft-x"), precious);
    Files.createDirectories(folder.resolve(".draft-y/folder"));
    restore("one");
    assertEquals("text", Files.readString(precious.resolve("file")));
    assertEquals(List.of("checkpoint", "ckpt-1.data-00000-of-00001", "ckpt-1.index"), files());
  }

  @ParameterizedTest
  @ValueSource(strings = {"/etc/passwd", "../x/ckpt-9", "ckpt-9", "..", "a\u0000b", "a\nb", ""})
  void takesTheGreatestNumberWhereAnotherPlaceIsNamed(String name) throws IOException {
    checkpoints.save(job.state(), 1, "one");
    checkpoints.save(job.state(), 2, "two");
    Files.writeString(folder.resolve("checkpoint"), "model_checkpoint_path: \"" + name + "\"\n");
    try (LogCapture log = new LogCapture(CheckpointFolder.class)) {
      assertEquals(Optional.of(folder.resolve("ckpt-2")), restore("two"));
      assertTrue(log.messages().get(0).contains("names no checkpoint of its folder"));
    }
  }

  /** As Python may write it, and the folder was moved since. */
  @Test
  void takesTheNameFromAPath() throws IOException {
    checkpoints.save(job.state(), 1, "one");
    checkpoints.save(job.state(), 2, "two");
    Files.writeString(
        folder.resolve("checkpoint"), "model_checkpoint_path: \"/former/place/ckpt-1\"\n");
    assertEquals(Optional.of(folder.resolve("ckpt-1")), restore("one"));
  }
}
