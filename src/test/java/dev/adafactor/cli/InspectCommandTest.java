package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.finetune.Digits;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.SavedModel;

class InspectCommandTest extends ProgramFixture {
  private void assertRefused(String part, String... arguments) {
    err.getBuffer().setLength(0);
    assertEquals(2, run(arguments));
    assertOneLine(part);
  }

  @Test
  void tellsWhatTheBundledModelIs() throws IOException {
    Path json = folder.resolve("model.json");
    assertEquals(0, run("inspect", Digits.MODEL.toString(), "--json=" + json), err::toString);
    String report = out.toString();
    for (String part :
        new String[] {
          "model.save",
          "image          float32 [?, 8, 8, 1]",
          "probabilities  float32 [?, 10]       can be trained",
          "8 trainable; 38,282 elements, 153,128 bytes",
          "Optimizer state for them: 5,428 bytes",
          "--loss sparse-categorical-crossentropy",
        }) {
      assertTrue(report.contains(part), report);
    }
    JsonNode model = new JsonMapper().readTree(json.toFile());
    assertEquals("keras_save", model.get("exporter").textValue());
    assertEquals("Softmax", model.at("/signatures/0/outputs/0/operation").textValue());
    assertEquals(8, model.get("variables").size());
  }

  @Test
  void aKerasModelThatSavedModelSaveWroteHasNoMetadata() throws IOException {
    Path model = Files.createDirectories(folder.resolve("model/variables")).getParent();
    for (String file :
        new String[] {
          "saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"
        }) {
      Files.copy(Digits.MODEL.resolve(file), model.resolve(file));
    }
    assertEquals(0, run("inspect", model.toString()), err::toString);
    assertTrue(out.toString().contains("written by tf.saved_model.save"), out::toString);
  }

  @Test
  void theCommandThatItSuggestsIsOne() throws IOException {
    run("inspect", Digits.MODEL.toString());
    String command =
        out.toString()
            .substring(out.toString().indexOf("adafactor.jar ") + "adafactor.jar ".length())
            .replace("\\", " ")
            .replace("image.npy", Digits.TEST_IMAGES.toString())
            .replace("labels.npy", Digits.TEST_LABELS.toString())
            .replace("fine-tuned", folder.resolve("fine-tuned").toString())
            .strip();
    assertEquals(0, run(command.split("\\s+")), err::toString);
    assertTrue(Files.exists(folder.resolve("fine-tuned").resolve("saved_model.pb")));
  }

  @Test
  void badInputIsNamed() {
    assertRefused("MODEL_DIR is missing", "inspect");
    assertRefused("given twice", "inspect", "a", "--model=b");
    assertRefused("no folder 'nowhere'", "inspect", "nowhere");
    assertRefused("no signature 'train'", "inspect", Digits.MODEL.toString(), "--signature=train");
    assertRefused(
        "never written to", "inspect", Digits.MODEL.toString(), "--json=" + Digits.MODEL + "/x");
    assertFalse(Files.exists(Digits.MODEL.resolve("x")));
  }

  @Test
  void aSignatureOfTwoNamesIsToldOfOnce() throws IOException {
    Path model = Files.createDirectories(folder.resolve("model/variables")).getParent();
    for (String file :
        new String[] {"variables/variables.index", "variables/variables.data-00000-of-00001"}) {
      Files.copy(Digits.MODEL.resolve(file), model.resolve(file));
    }
    SavedModel.Builder saved =
        SavedModel.parseFrom(Files.readAllBytes(Digits.MODEL.resolve("saved_model.pb")))
            .toBuilder();
    MetaGraphDef.Builder graph = saved.getMetaGraphsBuilder(0);
    graph.putSignatureDef("serve", graph.getSignatureDefOrThrow("serving_default"));
    Files.write(model.resolve("saved_model.pb"), saved.build().toByteArray());
    assertEquals(0, run("inspect", model.toString()), err::toString);
    String report = out.toString();
    assertTrue(
        report.contains(
            "Signature serve: inputs, outputs and operations are those of serving_default"),
        report);
    assertEquals(1, report.lines().filter(line -> line.startsWith("  output ")).count(), report);
    assertEquals(0, run("inspect", model.toString(), "--signature=serve"), err::toString);
    assertEquals(2, out.toString().lines().filter(line -> line.startsWith("  output ")).count());
  }
}
