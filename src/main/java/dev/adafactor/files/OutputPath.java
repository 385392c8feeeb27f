package dev.adafactor.files;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Where something is going to be written, looked at before the work whose result it is to keep.
 *
 * @param purpose what messages about the path begin with: an option, or "Cannot export to"
 * @param path as the user gave it
 * @param kind what is going to be there
 */
public record OutputPath(String purpose, Path path, Kind kind) {

  /** What is going to be at a path. */
  public enum Kind {
    /** A file, which replaces the one that may be there. */
    FILE,

    /** A folder that replaces the one that may be there. */
    WHOLE_FOLDER,

    /** A folder that gets files beside those that may be there. */
    SHARED_FOLDER
  }

  /**
   * The path without links, of something that need not exist yet.
   *
   * @throws IllegalArgumentException if a link on the way leads nowhere
   */
  public Path real() throws IOException {
    return real(path.toAbsolutePath());
  }

  private Path real(Path part) throws IOException {
    if (Files.exists(part) || part.getParent() == null) {
      return part.toRealPath();
    }
    if (Files.isSymbolicLink(part)) {
      throw refusal("'%s' is a link to nothing".formatted(part));
    }
    return real(part.getParent()).resolve(part.getFileName()).normalize();
  }

  /**
   * Checks that there can be written.
   *
   * @throws IllegalArgumentException if something of another kind is there, or the nearest folder
   *     that exists cannot be written to
   */
  public void requireWritable() throws IOException {
    Path target = real();
    if (target.getParent() == null) {
      throw refusal("that is the root folder");
    }
    if (kind == Kind.FILE && Files.isDirectory(target)) {
      throw refusal("that is a folder, not a file");
    }
    if (kind == Kind.FILE && Files.exists(target) && !Files.isRegularFile(target)) {
      throw refusal("that is no ordinary file");
    }
    if (kind != Kind.FILE && Files.exists(target) && !Files.isDirectory(target)) {
      throw refusal("that is a file, not a folder");
    }
    // What is replaced is replaced by a sibling.
    Path folder = kind == Kind.SHARED_FOLDER ? target : target.getParent();
    while (!Files.exists(folder)) {
      folder = folder.getParent();
    }
    if (!Files.isDirectory(folder)) {
      throw refusal("'%s' is a file, not a folder".formatted(folder));
    }
    try {
      // Only trying tells, of a file system that is read-only or not for files at all.
      Files.delete(Files.createTempFile(folder, ".", ".probe"));
    } catch (IOException e) {
      throw refusal("'%s' is no folder that can be written to".formatted(folder));
    }
  }

  /**
   * Checks that what is written here leaves an input as it is.
   *
   * @param input a file or folder that exists
   * @param description what it is, for the message
   * @throws IllegalArgumentException if it does not
   */
  public void requireApartFrom(Path input, String description) throws IOException {
    Path source = input.toRealPath();
    if (real().startsWith(source) || replaces(source)) {
      throw refusal(
          "it overlaps with %s '%s', which is never written to".formatted(description, input));
    }
  }

  /**
   * Checks that one of two outputs does not replace the other.
   *
   * @throws IllegalArgumentException if it does
   */
  public void requireApartFrom(OutputPath other) throws IOException {
    if (replaces(other.real()) || other.replaces(real())) {
      throw refusal("it overlaps with %s '%s'".formatted(other.purpose, other.path));
    }
  }

  private boolean replaces(Path real) throws IOException {
    return kind != Kind.SHARED_FOLDER && real.startsWith(real());
  }

  /** An exception that says what is wrong with the path. */
  public IllegalArgumentException refusal(String reason) {
    return new IllegalArgumentException(message(reason));
  }

  /** An exception that names the path, not that of a temporary file, and says why it failed. */
  public IOException failure(IOException cause) {
    return new IOException(message(reason(cause)), cause);
  }

  private String message(String reason) {
    return "%s '%s': %s".formatted(purpose, path, reason);
  }

  private static String reason(IOException e) {
    if (e instanceof AccessDeniedException denied) {
      return "no permission for '%s'".formatted(denied.getFile());
    }
    if (e instanceof FileAlreadyExistsException existing) {
      return "'%s' is in the way".formatted(existing.getFile());
    }
    if (e instanceof NoSuchFileException missing) {
      return "there is no '%s'".formatted(missing.getFile());
    }
    if (e instanceof FileSystemException failed && failed.getReason() != null) {
      return failed.getReason();
    }
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }
}
