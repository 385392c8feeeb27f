package dev.adafactor.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A state that Python or Java has written, by any of the names that it goes by: the prefix of a
 * checkpoint's files ({@code Checkpoint.save}, {@code save_weights}), a folder of checkpoints, of
 * which it is the newest, or the folder of a SavedModel. It is only read.
 */
public final class StoredState {
  private static final String INDEX = ".index";
  private static final String SHARD = ".data-";
  private static final Path OF_SAVED_MODEL = Path.of("variables", "variables");
  private static final byte[] HDF5 = "\u0089HDF".getBytes(StandardCharsets.ISO_8859_1);

  private final Path path;
  private final Optional<Path> prefix;

  private StoredState(Path path, Optional<Path> prefix) {
    this.path = path;
    this.prefix = prefix;
  }

  /**
   * Looks where it is.
   *
   * @throws IOException if there is none, or it is in a format that is not read
   */
  public static StoredState find(Path path) throws IOException {
    if (!place(path).equals(path)) {
      return new StoredState(path, Optional.of(path));
    }
    if (Files.isDirectory(path)) {
      if (Files.isRegularFile(path.resolve("saved_model.pb"))) {
        return new StoredState(path, Optional.of(path.resolve(OF_SAVED_MODEL)));
      }
      if (!new CheckpointFolder(path, 1).isEmpty()) {
        return new StoredState(path, Optional.empty());
      }
      throw new IOException(
          "the folder '%s' holds neither checkpoints (PREFIX-NUMBER.index) nor a SavedModel%s"
              .formatted(path, hint(path)));
    }
    if (Files.isRegularFile(path)) {
      throw new IOException(refusal(path));
    }
    throw new IOException(
        "there is no '%s%s', nor a folder '%s'; give the prefix of a checkpoint's files, a folder"
                .formatted(path, INDEX, path)
            + " of checkpoints, or a SavedModel");
  }

  /** The prefixes of files in a folder that are no numbered checkpoints. */
  private static String hint(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.toString().endsWith(INDEX))
          .map(file -> file.getFileName().toString())
          .map(name -> folder.resolve(name.substring(0, name.length() - INDEX.length())))
          .sorted()
          .findFirst()
          .map(prefix -> "; give the prefix of the files in it, '%s'".formatted(prefix))
          .orElse("");
    }
  }

  /**
   * What is there of a state by one of its names: the index of a prefix, or else the path itself.
   */
  public static Path place(Path path) {
    Path index = path.resolveSibling(path.getFileName() + INDEX);
    return Files.isRegularFile(index) ? index : path;
  }

  /**
   * What a state is read from: the files of a prefix, or else the path itself.
   *
   * @throws IOException if its folder cannot be read
   */
  public static List<Path> files(Path path) throws IOException {
    Path place = place(path);
    if (place.equals(path)) {
      return List.of(path);
    }
    List<Path> files = new ArrayList<>(List.of(place));
    Path folder = place.toAbsolutePath().getParent();
    try (Stream<Path> all = Files.list(folder)) {
      all.map(Path::getFileName)
          .filter(name -> name.toString().startsWith(path.getFileName() + SHARD))
          .map(place::resolveSibling)
          .sorted()
          .forEach(files::add);
    }
    return List.copyOf(files);
  }

  private static String refusal(Path file) throws IOException {
    String name = file.getFileName().toString();
    byte[] beginning;
    try (InputStream in = Files.newInputStream(file)) {
      beginning = in.readNBytes(HDF5.length);
    }
    String lower = name.toLowerCase(Locale.ROOT);
    if (Arrays.equals(beginning, HDF5)
        || lower.endsWith(".h5")
        || lower.endsWith(".hdf5")
        || lower.endsWith(".keras")) {
      return ("'%s' is a file of Keras's HDF5 or .keras format, which is not read here; write the"
              + " weights in TensorFlow's with model.save_weights('PREFIX', save_format='tf'), or"
              + " model and optimizer with tf.train.Checkpoint(model=model,"
              + " optimizer=optimizer).save('PREFIX')")
          .formatted(file);
    }
    int suffix = Math.max(name.lastIndexOf(INDEX), name.lastIndexOf(SHARD));
    return suffix > 0
        ? "'%s' is one of a checkpoint's files; give their prefix, '%s'"
            .formatted(file, file.resolveSibling(name.substring(0, suffix)))
        : "'%s' is no checkpoint; give the prefix of its files, PREFIX of PREFIX.index"
            .formatted(file);
  }

  /**
   * Puts it back. Of a folder of checkpoints, those that are damaged are named in the log and
   * passed over.
   *
   * @throws IOException if it is damaged
   * @throws IllegalArgumentException if it is that of another model or optimizer, unless the extent
   *     allows it; the message names the first differences, and nothing is changed
   */
  public Restored restore(TrainingState state, Extent extent) throws IOException {
    if (prefix.isPresent()) {
      return state.restore(prefix.get(), extent, Content.Judge.TAKES_ALL);
    }
    return new CheckpointFolder(path, 1)
        .restoreNewest(state, extent, Content.Judge.TAKES_ALL)
        .orElseThrow(() -> new IOException("the checkpoints in '" + path + "' are gone"));
  }
}
