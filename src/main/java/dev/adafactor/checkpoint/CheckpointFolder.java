package dev.adafactor.checkpoint;

import dev.adafactor.files.TensorBundle;
import java.io.IOException;
import java.io.InputStream;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * A folder of checkpoints, for one job at a time (see {@link FolderLock}), as {@code
 * tf.train.CheckpointManager} keeps it: {@code ckpt-STEP.index}, {@code ckpt-STEP.data-*} and a
 * file {@code checkpoint} that names the newest.
 *
 * <p>A checkpoint is there when its index is. It is written elsewhere, forced to the disk, and
 * moved in, its index last: a process that is killed at any moment leaves those before it as they
 * were. What else it leaves, files without an index, the next one removes.
 */
public final class CheckpointFolder {
  private static final Logger LOG = System.getLogger(CheckpointFolder.class.getName());
  private static final String NAME = "ckpt-";
  private static final String INDEX = ".index";
  private static final String LATEST = "checkpoint";
  private static final String DRAFT = ".draft-";

  /** Python's names have other beginnings, if its user wants it. */
  private static final Pattern NUMBERED = Pattern.compile("(.+)-(\\d{1,18})\\.index");

  private static final Pattern OWN_VALUES =
      Pattern.compile("(" + NAME + "\\d+)\\.data-\\d{5}-of-\\d{5}");

  private static final Pattern NAMED_LATEST =
      Pattern.compile("(?m)^model_checkpoint_path: \"(?:[^\"]*/)?([^\"/]+)\"");

  /** The newest is named in the first line. */
  private static final int LONGEST_LATEST = 1 << 16;

  private final Path folder;
  private final int kept;

  /** Damaged ones that are newer than the one that was put back. */
  private final List<Path> passedOver = new ArrayList<>();

  /**
   * A folder, which need not exist yet.
   *
   * @param kept how many checkpoints are kept, 1 or more
   */
  public CheckpointFolder(Path folder, int kept) {
    if (kept < 1) {
      throw new IllegalArgumentException("keep is %d; 1 or more is wanted".formatted(kept));
    }
    this.folder = folder;
    this.kept = kept;
  }

  /** Whether there are checkpoints. */
  public boolean isEmpty() throws IOException {
    return checkpoints().isEmpty();
  }

  /**
   * Writes a checkpoint, and removes the oldest if there are too many, and those that {@link
   * #resume} has found damaged.
   *
   * @param step how many steps were done, part of the name; Python's own count goes on from it
   * @return the prefix of its files
   * @throws IOException if writing fails; the checkpoints before it are left as they were
   * @throws dev.adafactor.mesh.ClusterException if a process is lost that runs the session
   */
  public Path save(TrainingState state, long step, String note) throws IOException {
    Path draft = folder.resolve(DRAFT + UUID.randomUUID());
    Path written = folder.resolve(NAME + step);
    try {
      Files.createDirectories(folder);
      sweep();
      Files.createDirectory(draft);
      state.save(draft.resolve(written.getFileName()), note, step);
      List<Path> files = list(draft);
      if (files.isEmpty()) {
        throw new IOException(
            "the process that runs the session has written it to a file system of its own; one that"
                + " is shared with it is needed");
      }
      // The index comes last: without it the values do not count.
      files.sort(Comparator.comparing(file -> file.toString().endsWith(INDEX)));
      for (Path file : files) {
        force(file);
        Files.move(
            file,
            folder.resolve(file.getFileName()),
            StandardCopyOption.ATOMIC_MOVE,
            StandardCopyOption.REPLACE_EXISTING);
      }
      force(folder);
      passedOver.remove(written);
      List<Path> others = new ArrayList<>(own());
      others.remove(written);
      others.removeAll(passedOver);
      List<Path> old = others.subList(0, Math.max(0, others.size() - (kept - 1)));
      List<Path> left = new ArrayList<>(others.subList(old.size(), others.size()));
      left.add(written);
      nameLatest(draft.resolve(LATEST), left);
      for (Path checkpoint : old) {
        remove(checkpoint);
      }
      for (Path checkpoint : passedOver) {
        remove(checkpoint);
      }
      passedOver.clear();
      return written;
    } catch (IOException e) {
      throw new IOException(
          "cannot write the checkpoint '%s': %s".formatted(written, reason(e)), e);
    } finally {
      discard(draft);
    }
  }

  /** What is left of it, the next one removes. */
  private static void discard(Path draft) {
    try {
      removeAll(draft);
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "''{0}'' is left: {1}", draft, e.getMessage());
    }
  }

  /** Removes what processes left that were killed while they wrote or removed a checkpoint. */
  private void sweep() throws IOException {
    for (Path file : list(folder)) {
      if (file.getFileName().toString().startsWith(DRAFT) || isWithoutIndex(file)) {
        removeAll(file);
      }
    }
  }

  /** Whether they are values that do not count: an index comes last and goes first. */
  private static boolean isWithoutIndex(Path file) {
    Matcher values = OWN_VALUES.matcher(file.getFileName().toString());
    return values.matches()
        && Files.notExists(file.resolveSibling(values.group(1) + INDEX), LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * Puts back the newest checkpoint that is whole: that which the file {@code checkpoint} names, or
   * the one with the greatest number. Those that are damaged are named in the log. What a killed
   * process left is removed.
   *
   * @param judge is asked about each; see {@link TrainingState#restore}
   * @return what was put back; empty if there is none
   * @throws IOException if there are checkpoints, and all are damaged
   * @throws IllegalArgumentException if the newest is that of another model or optimizer
   * @throws dev.adafactor.mesh.ClusterException if a process is lost that runs the session
   */
  public Optional<Restored> resume(TrainingState state, Content.Judge judge) throws IOException {
    sweep();
    return restoreNewest(state, Extent.ALL, judge);
  }

  /**
   * The note of the newest checkpoint before another one that has a note; those that cannot be read
   * are passed over.
   *
   * @param checkpoint the prefix of its files
   */
  public Optional<String> noteBefore(Path checkpoint) throws IOException {
    List<Path> newestFirst = checkpoints();
    Collections.reverse(newestFirst);
    for (Path each : newestFirst) {
      if (number(each) < number(checkpoint)) {
        try {
          TensorBundle bundle = TensorBundle.read(each);
          if (bundle.tensors().containsKey(TrainingState.NOTE)) {
            return Optional.of(
                new String(bundle.string(TrainingState.NOTE), StandardCharsets.UTF_8));
          }
        } catch (IOException e) {
          LOG.log(
              Level.WARNING, "The checkpoint ''{0}'' is passed over: {1}", each, e.getMessage());
        }
      }
    }
    return Optional.empty();
  }

  /** What {@link #resume} does, to any extent, in a folder that is only read. */
  Optional<Restored> restoreNewest(TrainingState state, Extent extent, Content.Judge judge)
      throws IOException {
    List<Path> newestFirst = newestFirst();
    List<Path> damaged = new ArrayList<>();
    IOException damage = null;
    for (Path checkpoint : newestFirst) {
      try {
        Restored restored = state.restore(checkpoint, extent, judge);
        damaged.stream().filter(CheckpointFolder::isOwn).forEach(passedOver::add);
        return Optional.of(restored);
      } catch (IOException e) {
        LOG.log(
            Level.WARNING,
            "The checkpoint ''{0}'' is passed over: {1}",
            checkpoint,
            e.getMessage());
        damaged.add(checkpoint);
        damage = damage == null ? e : damage;
      }
    }
    if (damage != null) {
      throw new IOException(
          "none of the %d checkpoints in '%s' is whole: %s"
              .formatted(newestFirst.size(), folder, damage.getMessage()),
          damage);
    }
    return Optional.empty();
  }

  private List<Path> newestFirst() throws IOException {
    List<Path> found = checkpoints();
    Collections.reverse(found);
    Path latest = folder.resolve(LATEST);
    if (found.isEmpty() || !Files.isRegularFile(latest)) {
      return found;
    }
    String beginning;
    try (InputStream in = Files.newInputStream(latest)) {
      beginning = new String(in.readNBytes(LONGEST_LATEST), StandardCharsets.UTF_8);
    }
    // Only compared: the name may be any text, of any place.
    Matcher named = NAMED_LATEST.matcher(beginning);
    Optional<Path> newest =
        named.find()
            ? found.stream()
                .filter(path -> path.getFileName().toString().equals(named.group(1)))
                .findFirst()
            : Optional.empty();
    if (newest.isPresent()) {
      found.remove(newest.get());
      found.add(0, newest.get());
    } else {
      LOG.log(
          Level.WARNING,
          "The file ''{0}'' names no checkpoint of its folder: the one with the greatest number is"
              + " the newest, ''{1}''",
          latest,
          found.get(0));
    }
    return found;
  }

  /** Those that may be removed. */
  private List<Path> own() throws IOException {
    return checkpoints().stream().filter(CheckpointFolder::isOwn).toList();
  }

  private static boolean isOwn(Path checkpoint) {
    return checkpoint.getFileName().toString().matches(NAME + "\\d+");
  }

  /** The prefixes of all checkpoints, the oldest first. */
  private List<Path> checkpoints() throws IOException {
    List<Path> found = new ArrayList<>();
    for (Path index : list(folder)) {
      if (NUMBERED.matcher(index.getFileName().toString()).matches()) {
        String name = index.getFileName().toString();
        found.add(index.resolveSibling(name.substring(0, name.length() - INDEX.length())));
      }
    }
    found.sort(Comparator.comparingLong(CheckpointFolder::number));
    return found;
  }

  private static long number(Path checkpoint) {
    Matcher numbered = NUMBERED.matcher(checkpoint.getFileName() + INDEX);
    return numbered.matches() ? Long.parseLong(numbered.group(2)) : -1;
  }

  private void nameLatest(Path draft, List<Path> all) throws IOException {
    String newest = all.get(all.size() - 1).getFileName().toString();
    String names =
        all.stream()
            .map(path -> "all_model_checkpoint_paths: \"%s\"%n".formatted(path.getFileName()))
            .collect(Collectors.joining());
    Files.writeString(draft, "model_checkpoint_path: \"%s\"%n%s".formatted(newest, names));
    force(draft);
    Files.move(
        draft,
        folder.resolve(LATEST),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
  }

  /** The index goes first: what is left without it does not count. */
  private void remove(Path checkpoint) throws IOException {
    String name = checkpoint.getFileName().toString();
    Files.deleteIfExists(folder.resolve(name + INDEX));
    for (Path file : list(folder)) {
      if (file.getFileName().toString().startsWith(name + ".data-")) {
        Files.deleteIfExists(file);
      }
    }
  }

  /** A link is removed, not what it leads to. */
  private static void removeAll(Path leftOver) throws IOException {
    if (Files.isDirectory(leftOver, LinkOption.NOFOLLOW_LINKS)) {
      for (Path file : list(leftOver)) {
        removeAll(file);
      }
    }
    Files.deleteIfExists(leftOver);
  }

  private static List<Path> list(Path folder) throws IOException {
    List<Path> files = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> found = Files.newDirectoryStream(folder)) {
        found.forEach(files::add);
      } catch (DirectoryIteratorException e) {
        throw e.getCause();
      }
    }
    return files;
  }

  /** Makes sure that it is on the disk; some systems cannot do that with a folder. */
  private static void force(Path path) throws IOException {
    boolean isFolder = Files.isDirectory(path);
    try (FileChannel channel =
        FileChannel.open(path, isFolder ? StandardOpenOption.READ : StandardOpenOption.WRITE)) {
      channel.force(true);
    } catch (IOException e) {
      if (!isFolder) {
        throw e;
      }
    }
  }

  private static String reason(IOException e) {
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }
}
