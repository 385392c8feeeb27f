package dev.adafactor.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StoredStateTest {
  @TempDir Path folder;

  @Test
  void namesThePrefixOfTheFilesInAFolder() throws IOException {
    Files.createFile(folder.resolve("w.index"));
    assertEquals(
        ("the folder '%s' holds neither checkpoints (PREFIX-NUMBER.index) nor a SavedModel; give"
                + " the prefix of the files in it, '%s'")
            .formatted(folder, folder.resolve("w")),
        assertThrows(IOException.class, () -> StoredState.find(folder)).getMessage());
  }
}
