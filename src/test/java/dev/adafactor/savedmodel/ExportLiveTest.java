package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.adafactor.python.Python;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Python loads what was exported. */
@Tag("live")
class ExportLiveTest {
  @TempDir Path folder;

  @Test
  void pythonPredictsWhatJavaPredicts() throws Exception {
    Path target = folder.resolve("model");
    ObjectMapper json = new ObjectMapper();
    float[] expected;
    try (TrainableModel model = TrainableModelTest.digits();
        var images = TrainableModelTest.images()) {
      TrainableModelTest.shiftVariables(model, 0.02f);
      expected = TrainableModelTest.predict(model);
      model.export(target, ExistingFolder.REFUSE);
      float[] pixels = new float[(int) images.size()];
      images.copyTo(org.tensorflow.ndarray.buffer.DataBuffers.of(pixels, false, false));
      Files.write(folder.resolve("images.json"), json.writeValueAsBytes(pixels));
    }
    Path results = folder.resolve("results.json");
    Python.run("reload.py", target, folder.resolve("images.json"), results);
    JsonNode python = json.readTree(results.toFile());
    for (String loader : new String[] {"saved_model", "load_model"}) {
      assertArrayEquals(expected, json.treeToValue(python.get(loader), float[].class), 1e-6f);
    }
    assertTrue(python.get("fingerprint_is_consistent").asBoolean());
  }
}
