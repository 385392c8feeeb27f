package dev.adafactor.finetune;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
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
import org.tensorflow.proto.HistogramProto;
import org.tensorflow.proto.SessionLog;
import org.tensorflow.proto.Summary;

/**
 * A file of events that TensorBoard reads: {@link Event} messages in TFRecord framing.
 *
 * <p>It is a log: TensorBoard reads it while it grows, each record is written at once, and whatever
 * happens, the records that are in it stay good.
 */
final class EventFile implements Closeable {
  private static final long MILLIS = 1000;

  private final OutputStream out;
  private final Clock clock;

  private EventFile(OutputStream out, Clock clock) {
    this.out = out;
    this.clock = clock;
  }

  /** Creates a file of a new name in the directory, which is made if it is not there. */
  static EventFile create(Path directory, Clock clock) throws IOException {
    Files.createDirectories(directory);
    // TensorBoard reads the files in the order of their names.
    long now = clock.millis();
    Path file =
        directory.resolve(
            "events.out.tfevents.%010d.%03d.%d.adafactor"
                .formatted(now / MILLIS, now % MILLIS, ProcessHandle.current().pid()));
    for (int i = 1; Files.exists(file); i++) {
      file = file.resolveSibling(file.getFileName() + "." + i);
    }
    EventFile events =
        new EventFile(Files.newOutputStream(file, StandardOpenOption.CREATE_NEW), clock);
    events.write(Event.newBuilder().setFileVersion("brain.Event:2"));
    return events;
  }

  /** Has TensorBoard forget what other files of the directory hold of this step and later ones. */
  void restartAt(long step) throws IOException {
    write(
        Event.newBuilder()
            .setStep(step)
            .setSessionLog(SessionLog.newBuilder().setStatus(SessionLog.SessionStatus.START)));
  }

  /** Appends numbers that belong to a step, each under its tag. */
  void scalars(long step, Map<String, Double> values) throws IOException {
    Summary.Builder summary = Summary.newBuilder();
    values.forEach(
        (tag, value) -> summary.addValueBuilder().setTag(tag).setSimpleValue(value.floatValue()));
    write(Event.newBuilder().setStep(step).setSummary(summary));
  }

  /** Appends histograms that belong to a step, each under its tag. */
  void histograms(long step, Map<String, Histogram> values) throws IOException {
    Summary.Builder summary = Summary.newBuilder();
    values.forEach(
        (tag, histogram) -> summary.addValueBuilder().setTag(tag).setHisto(message(histogram)));
    write(Event.newBuilder().setStep(step).setSummary(summary));
  }

  private static HistogramProto message(Histogram histogram) {
    HistogramProto.Builder message =
        HistogramProto.newBuilder()
            .setMin(histogram.min())
            .setMax(histogram.max())
            .setNum((double) histogram.count())
            .setSum(histogram.sum())
            .setSumSquares(histogram.sumOfSquares());
    for (int i = 0; i < histogram.counts().size(); i++) {
      message.addBucketLimit(histogram.upperEdge(i)).addBucket((double) histogram.counts().get(i));
    }
    return message.build();
  }

  private void write(Event.Builder event) throws IOException {
    byte[] data = event.setWallTime(clock.millis() / (double) MILLIS).build().toByteArray();
    byte[] length = new byte[Long.BYTES];
    ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).putLong(data.length);
    ByteArrayOutputStream record = new ByteArrayOutputStream();
    record.write(length);
    record.write(checksum(length));
    record.write(data);
    record.write(checksum(data));
    record.writeTo(out);
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
  public void close() throws IOException {
    out.close();
  }
}
