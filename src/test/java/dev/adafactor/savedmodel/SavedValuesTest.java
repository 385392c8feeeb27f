package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.SavedModel;

class SavedValuesTest {
  private static final Path DIGITS = Path.of("savedmodels", "digits");
  private static final Path VALUES = DIGITS.resolve(SavedModelFolder.VARIABLES);
  private static final String KEY = "layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE";

  @Test
  void whatPythonWroteFits() throws IOException {
    SavedValues.require(digits().build(), VALUES);
  }

  @Test
  void namesTheVariableOfAnotherShape() throws IOException {
    GraphDef.Builder graph = digits();
    change(
        graph,
        "conv_1/kernel",
        node ->
            node.putAttr(
                "shape",
                node.getAttrOrThrow("shape").toBuilder()
                    .setShape(
                        node.getAttrOrThrow("shape").getShape().toBuilder()
                            .setDim(
                                3,
                                node.getAttrOrThrow("shape").getShape().getDim(3).toBuilder()
                                    .setSize(17)))
                    .build()));
    assertRefused(
        graph,
        ("The model's variable 'conv_1/kernel' is float[3, 3, 1, 17], but its value '%s' in"
                + " '%s.index' is float[3, 3, 1, 16]")
            .formatted(KEY, VALUES));
  }

  @Test
  void namesTheVariableOfAnotherType() throws IOException {
    GraphDef.Builder graph = digits();
    change(
        graph,
        "conv_1/kernel",
        node ->
            node.putAttr(
                "dtype",
                node.getAttrOrThrow("dtype").toBuilder().setType(DataType.DT_DOUBLE).build()));
    assertRefused(
        graph,
        ("The model's variable 'conv_1/kernel' is double[3, 3, 1, 16], but its value '%s' in"
                + " '%s.index' is float[3, 3, 1, 16]")
            .formatted(KEY, VALUES));
  }

  @Test
  void namesTheVariableWithoutValue() throws IOException {
    GraphDef.Builder graph = digits();
    Path other = Path.of("savedmodels", "none");
    assertThrows(IOException.class, () -> SavedValues.require(graph.build(), other));
    for (var function : graph.getLibraryBuilder().getFunctionBuilderList()) {
      for (NodeDef.Builder node : function.getNodeDefBuilderList()) {
        if (node.getName().equals("RestoreV2/tensor_names")) {
          var value = node.getAttrOrThrow("value").toBuilder();
          int place = value.getTensor().getStringValList().size() - 2;
          value.getTensorBuilder().setStringVal(place, ByteString.copyFromUtf8("lost"));
          node.putAttr("value", value.build());
        }
      }
    }
    assertRefused(
        graph,
        "The model's variable 'probabilities/bias' has no value: there is no 'lost' in '%s.index'"
            .formatted(VALUES));
  }

  private static void assertRefused(GraphDef.Builder graph, String message) {
    assertEquals(
        message,
        assertThrows(IOException.class, () -> SavedValues.require(graph.build(), VALUES))
            .getMessage());
  }

  private static GraphDef.Builder digits() throws IOException {
    return SavedModel.parseFrom(Files.readAllBytes(DIGITS.resolve("saved_model.pb")))
        .getMetaGraphs(0)
        .getGraphDef()
        .toBuilder();
  }

  private static void change(
      GraphDef.Builder graph, String name, Consumer<NodeDef.Builder> change) {
    graph.getNodeBuilderList().stream().filter(node -> node.getName().equals(name)).forEach(change);
  }
}
