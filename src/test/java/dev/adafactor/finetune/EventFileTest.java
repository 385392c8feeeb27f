package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.proto.Event;

class EventFileTest {
  private static final Clock CLOCK = Clock.fixed(Instant.ofEpochMilli(1500), ZoneOffset.UTC);
  private static final int FRAME = 8 + 4 + 4;

  @TempDir Path folder;

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }

  @Test
  void writesOneRecordForEachEvent() throws IOException {
    try (EventFile events = EventFile.create(folder, CLOCK)) {
      events.scalars(7, Map.of("loss", 0.5));
    }
    ByteBuffer bytes =
        ByteBuffer.wrap(Files.readAllBytes(files().get(0))).order(ByteOrder.LITTLE_ENDIAN);
    Event version = record(bytes);
    Event step = record(bytes);
    assertEquals(0, bytes.remaining());
    assertEquals("brain.Event:2", version.getFileVersion());
    assertEquals(7, step.getStep());
    assertEquals(1.5, step.getWallTime());
    assertEquals("loss", step.getSummary().getValue(0).getTag());
    assertEquals(0.5f, step.getSummary().getValue(0).getSimpleValue());
  }

  @Test
  void writesEachEventAtOnce() throws IOException {
    try (EventFile events = EventFile.create(folder, CLOCK)) {
      events.scalars(7, Map.of("loss", 0.5));
      ByteBuffer bytes =
          ByteBuffer.wrap(Files.readAllBytes(files().get(0))).order(ByteOrder.LITTLE_ENDIAN);
      record(bytes);
      assertEquals(7, record(bytes).getStep());
    }
  }

  private static Event record(ByteBuffer bytes) throws IOException {
    byte[] data = new byte[(int) bytes.getLong()];
    bytes.position(bytes.position() + 4);
    bytes.get(data);
    bytes.position(bytes.position() + 4);
    return Event.parseFrom(data);
  }

  @Test
  void masksChecksumsAsTensorFlowDoes() throws IOException {
    EventFile.create(folder, CLOCK).close();
    byte[] bytes = Files.readAllBytes(files().get(0));
    // The first record of every event file that TensorFlow writes has this length and checksum.
    assertEquals(24, bytes.length - FRAME);
    ByteBuffer frame = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    assertEquals(24, frame.getLong());
    assertEquals(0x224B7FA3, frame.getInt());
  }

  @Test
  void namesFilesInTheOrderOfTheirTimes() throws IOException {
    EventFile.create(folder, CLOCK).close();
    Path first = files().get(0);
    EventFile.create(folder, Clock.offset(CLOCK, Duration.ofMillis(7))).close();
    assertEquals(first, files().stream().sorted().toList().get(0));
  }

  @Test
  void neverWritesOverAnotherFile() throws IOException {
    EventFile.create(folder, CLOCK).close();
    EventFile.create(folder, CLOCK).close();
    assertEquals(2, files().size());
    assertTrue(files().stream().allMatch(file -> file.toString().contains("tfevents")));
  }
}
