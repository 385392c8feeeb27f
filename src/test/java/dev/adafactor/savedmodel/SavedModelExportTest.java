package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.TrainableModelTest.DIGITS;
import static dev.adafactor.savedmodel.TrainableModelTest.contents;
import static dev.adafactor.savedmodel.TrainableModelTest.copy;
import static dev.adafactor.savedmodel.TrainableModelTest.digits;
import static dev.adafactor.savedmodel.TrainableModelTest.predict;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.proto.FingerprintDef;

class SavedModelExportTest {
  @TempDir Path folder;

  private static void assertRefused(String expected, TrainableModel model, Path target) {
    for (ExistingFolder existing : ExistingFolder.values()) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> model.export(target, existing))
              .getMessage();
      assertTrue(message.contains(expected), message);
    }
  }

  private static void assertFails(String expected, TrainableModel model, Path target) {
    String message =
        assertThrows(IOException.class, () -> model.export(target, ExistingFolder.REFUSE))
            .getMessage();
    assertTrue(message.contains(expected), message);
  }

  private List<String> names() throws Exception {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void exportPredictsLikeTheModelAndLeavesTheInputAlone() throws Exception {
    Path input = folder.resolve("input");
    copy(DIGITS, input);
    Files.createDirectories(input.resolve("assets").resolve("empty"));
    Files.writeString(input.resolve("assets").resolve("words.txt"), "one two");
    Map<String, Integer> before = contents(input);
    Path target = folder.resolve("a").resolve("model");
    float[] trained;
    try (TrainableModel model = TrainableModel.load(input, "serving_default")) {
      float[] untrained = predict(model);
      TrainableModelTest.shiftVariables(model, 0.02f);
      trained = predict(model);
      assertNotEquals(untrained[0], trained[0]);
      model.export(target, ExistingFolder.REFUSE);
    }
    assertEquals(before, contents(input));
    Map<String, Integer> after = contents(target);
    assertEquals(before.keySet(), after.keySet());
    for (String file : List.of("saved_model.pb", "keras_metadata.pb", "assets/words.txt")) {
      assertEquals(before.get(file), after.get(file), file);
    }
    assertTrue(Files.isDirectory(target.resolve("assets").resolve("empty")));
    try (Stream<Path> files = Files.list(target.getParent())) {
      assertEquals(List.of(target), files.toList());
    }
    try (TrainableModel exported = TrainableModel.load(target, "serving_default")) {
      assertArrayEquals(trained, predict(exported));
    }
  }

  @Test
  void hashIsTheOneOfPythonsFingerprint() throws Exception {
    FingerprintDef written =
        FingerprintDef.parseFrom(Files.readAllBytes(DIGITS.resolve("fingerprint.pb")));
    byte[] index = Files.readAllBytes(DIGITS.resolve("variables").resolve("variables.index"));
    assertEquals(written.getCheckpointHash(), SavedModelExport.fingerprint64(index));
  }

  @Test
  void inputFolderAndItsSurroundingsAreNoTargets() throws Exception {
    Path input = folder.resolve("outer").resolve("input");
    Files.createDirectories(input.getParent());
    copy(DIGITS, input);
    Path link = Files.createSymbolicLink(folder.resolve("link"), input);
    try (TrainableModel model = TrainableModel.load(input, "serving_default")) {
      for (Path target :
          List.of(
              input,
              input.resolve("exported"),
              input.resolve("..").resolve("input"),
              link,
              link.resolve("a").resolve("b"),
              input.getParent())) {
        assertRefused("overlaps", model, target);
      }
    }
    assertEquals(contents(DIGITS), contents(input));
  }

  @Test
  void existingFoldersAreKeptUnlessReplacingIsAskedFor() throws Exception {
    Path target = Files.createDirectory(folder.resolve("model"));
    try (TrainableModel model = digits()) {
      model.export(target, ExistingFolder.REFUSE);
      Map<String, Integer> first = contents(target);
      Files.writeString(target.resolve("note"), "of the first export");
      TrainableModelTest.shiftVariables(model, 0.5f);
      assertThrows(
          IllegalArgumentException.class, () -> model.export(target, ExistingFolder.REFUSE));
      assertTrue(Files.exists(target.resolve("note")));
      model.export(target, ExistingFolder.REPLACE);
      assertEquals(first.keySet(), contents(target).keySet());
      assertNotEquals(first, contents(target));
    }
    assertEquals(List.of("model"), names());
  }

  @Test
  void aLinkStaysAndItsTargetIsReplaced() throws Exception {
    Path target = folder.resolve("model");
    Path link = folder.resolve("link");
    try (TrainableModel model = digits()) {
      model.export(target, ExistingFolder.REFUSE);
      Map<String, Integer> first = contents(target);
      Files.createSymbolicLink(link, target);
      TrainableModelTest.shiftVariables(model, 0.5f);
      model.export(link, ExistingFolder.REPLACE);
      assertTrue(Files.isSymbolicLink(link));
      assertNotEquals(first, contents(target));
    }
    assertEquals(List.of("link", "model"), names());
  }

  @Test
  void whatIsNoModelIsNeverReplaced() throws Exception {
    Path home = Files.createDirectory(folder.resolve("home"));
    Files.writeString(home.resolve("letter"), "dear");
    Path file = Files.writeString(folder.resolve("file"), "text");
    try (TrainableModel model = digits()) {
      assertThrows(
          IllegalArgumentException.class, () -> model.export(home, ExistingFolder.REPLACE));
      assertRefused("that is a file, not a folder", model, file);
    }
    assertEquals("dear", Files.readString(home.resolve("letter")));
    assertEquals(List.of("file", "home"), names());
  }

  @Test
  void failureLeavesNothingBehind() throws Exception {
    Path target = folder.resolve("model");
    Path input = folder.resolve("input");
    copy(DIGITS, input);
    try (TrainableModel model = TrainableModel.load(input, "serving_default")) {
      Files.writeString(input.resolve("fingerprint.pb"), "damaged");
      assertFails("fingerprint.pb is damaged", model, target);
      Path file = Files.writeString(folder.resolve("file"), "text");
      assertRefused("'" + file + "' is a file", model, file.resolve("model"));
    }
    assertEquals(List.of("file", "input"), names());
  }

  @Test
  void anInputThatChangesMeanwhileIsNoticed() throws Exception {
    Path input = folder.resolve("input");
    copy(DIGITS, input);
    try (TrainableModel model = TrainableModel.load(input, "serving_default")) {
      Path metadata = input.resolve("keras_metadata.pb");
      byte[] bytes = Files.readAllBytes(metadata);
      bytes[bytes.length / 2] ^= 1;
      Files.write(metadata, bytes);
      assertFails("its 'keras_metadata.pb' is not what it was", model, folder.resolve("new"));
      Files.delete(metadata);
      assertFails("its 'keras_metadata.pb' is not what it was", model, folder.resolve("new"));
      Files.delete(input.resolve("saved_model.pb"));
      Files.delete(input.resolve("fingerprint.pb"));
      assertFails("changed after it was loaded", model, folder.resolve("new"));
    }
    assertEquals(List.of("input"), names());
  }

  @Test
  void valuesThatAreReplacedMeanwhileDoNotMatter() throws Exception {
    Path input = folder.resolve("input");
    copy(DIGITS, input);
    try (TrainableModel model = TrainableModel.load(input, "serving_default")) {
      Files.delete(input.resolve("variables").resolve("variables.index"));
      model.export(folder.resolve("new"), ExistingFolder.REFUSE);
      try (TrainableModel exported =
          TrainableModel.load(folder.resolve("new"), "serving_default")) {
        assertArrayEquals(predict(model), predict(exported));
      }
    }
  }
}
