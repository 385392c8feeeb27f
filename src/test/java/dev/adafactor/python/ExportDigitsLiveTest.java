package dev.adafactor.python;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The bundled data are what their script makes. */
@Tag("live")
class ExportDigitsLiveTest {
  @TempDir Path folder;

  @Test
  void makesTheBundledDataAndAModel() throws Exception {
    Path bundled = Path.of("savedmodels", "digits-data");
    Python.run("../../../savedmodels/export_digits.py", "--out", folder, "--epochs", 1);
    for (String name : List.of("train-images", "train-labels", "test-images", "test-labels")) {
      Path data = Path.of(name + ".npy");
      assertEquals(
          -1,
          Files.mismatch(bundled.resolve(data), folder.resolve("digits-data").resolve(data)),
          name);
    }
    assertTrue(Files.exists(folder.resolve("digits/saved_model.pb")));
  }
}
