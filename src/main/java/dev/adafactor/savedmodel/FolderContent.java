package dev.adafactor.savedmodel;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32C;
import java.util.zip.CheckedInputStream;

/**
 * What was in a model's folder when it was loaded, but for the values of its variables. A job may
 * take hours, in which somebody may write another model into the folder; its files with the trained
 * values of the first would be no model.
 *
 * @param checksums those of the files, named within the folder
 */
record FolderContent(Map<Path, Long> checksums) {

  static FolderContent of(SavedModelFolder folder) throws IOException {
    Map<Path, Long> checksums = new LinkedHashMap<>();
    for (Path file : folder.files()) {
      if (!SavedModelFolder.isVariables(file)) {
        checksums.put(file, checksum(folder.path().resolve(file)));
      }
    }
    return new FolderContent(checksums);
  }

  /**
   * Checks a copy of the folder that was made later.
   *
   * @throws IOException if a file is missing or another; the message names it
   */
  void requireIn(Path copy) throws IOException {
    for (Map.Entry<Path, Long> file : checksums.entrySet()) {
      try {
        if (checksum(copy.resolve(file.getKey())) != file.getValue()) {
          throw changed(file.getKey());
        }
      } catch (NoSuchFileException e) {
        throw changed(file.getKey());
      }
    }
  }

  private static IOException changed(Path file) {
    return new IOException(
        "the input model was changed after it was loaded: its '%s' is not what it was"
            .formatted(file));
  }

  private static long checksum(Path file) throws IOException {
    CRC32C checksum = new CRC32C();
    try (InputStream in = new CheckedInputStream(Files.newInputStream(file), checksum)) {
      in.transferTo(OutputStream.nullOutputStream());
    }
    return checksum.getValue();
  }
}
