package dev.adafactor.finetune;

import java.io.BufferedOutputStream;
import java.io.Closeable;
import java.io.Flushable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.util.Map;
import java.util.zip.CRC32C;
import org.tensorflow.proto.Event;
import org.tensorflow.proto.Summary;

/**
 * A file of events that TensorBoard reads: {@link Event} messages in TFRecord framing.
 *
 * <p>It is a log: TensorBoard reads it while it grows, and whatever happens, the records that are
 * in it stay good.
 */
final class EventFile implements Closeable, Flushable {
  private final OutputStream out;
  private final Clock clock;

  private EventFile(OutputStream out, Clock clock) {
    this.out = out;
    this.clock = clock;
  }

  /** Creates a file of a new name in the directory, which is made if it is not there. */
  static EventFile create(Path directory, Clock clock) throws IOException {
    Files.createDirectories(directory);
    Path file =
        directory.resolve(
            "events.out.tfevents.%d.%d.adafactor"
                .formatted(clock.millis() / 1000, ProcessHandle.current().pid()));
    for (int i = 1; Files.exists(file); i++) {
      file = file.resolveSibling(file.getFileName() + "." + i);
    }
    EventFile events =
        new EventFile(
            new BufferedOutputStream(Files.newOutputStream(file, StandardOpenOption.CREATE_NEW)),
            clock);
    events.write(Event.newBuilder().setFileVersion("brain.Event:2"));
    return events;
  }

  /** Appends numbers that belong to a step, each under its tag. */
  void scalars(long step, Map<String, Double> values) throws IOException {
    Summary.Builder summary = Summary.newBuilder();
    values.forEach(
        (tag, value) -> summary.addValueBuilder().setTag(tag).setSimpleValue(value.floatValue()));
    write(Event.newBuilder().setStep(step).setSummary(summary));
  }

  private void write(Event.Builder event) throws IOException {
    byte[] data = event.setWallTime(clock.millis() / 1000.0).build().toByteArray();
    byte[] length = new byte[Long.BYTES];
    ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).putLong(data.length);
    out.write(length);
    out.write(checksum(length));
    out.write(data);
    out.write(checksum(data));
  }

  /** TFRecord's masked CRC-32C. */
  private static byte[] checksum(byte[] data) {
    CRC32C crc = new CRC32C();
    crc.update(data);
    int value = Integer.rotateRight((int) crc.getValue(), 15) + 0xA282EAD8;
    byte[] bytes = new byte[Integer.BYTES];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(value);
    return bytes;
  }

  @Override
  public void flush() throws IOException {
    out.flush();
  }

  @Override
  public void close() throws IOException {
    out.close();
  }
}
