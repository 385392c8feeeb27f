package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.file.Files;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.SavedModel;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedConcreteFunction;
import org.tensorflow.proto.TensorProto;
import org.tensorflow.proto.TensorShapeProto;

class ModelCheckTest {
  private static MetaGraphDef digits;

  @BeforeAll
  static void read() throws IOException {
    digits =
        SavedModel.parseFrom(
                Files.readAllBytes(TrainableModelTest.DIGITS.resolve("saved_model.pb")))
            .getMetaGraphs(0);
  }

  private static void assertDamaged(String part, Consumer<MetaGraphDef.Builder> damage) {
    MetaGraphDef.Builder model = digits.toBuilder();
    damage.accept(model);
    String message =
        assertThrows(IOException.class, () -> ModelCheck.require(model.build())).getMessage();
    assertTrue(message.contains(part), message);
  }

  private static Consumer<MetaGraphDef.Builder> constant(DataType type, long... sizes) {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    for (long size : sizes) {
      shape.addDim(TensorShapeProto.Dim.newBuilder().setSize(size));
    }
    TensorProto tensor = TensorProto.newBuilder().setDtype(type).setTensorShape(shape).build();
    NodeDef.Builder node =
        NodeDef.newBuilder()
            .setName("constant")
            .setOp("Const")
            .putAttr("value", AttrValue.newBuilder().setTensor(tensor).build());
    return model -> model.getGraphDefBuilder().addNode(node);
  }

  @Test
  void aModelOfPythonIsGood() {
    assertDoesNotThrow(() -> ModelCheck.require(digits));
  }

  @Test
  void namesAreThereOnce() {
    assertDamaged(
        "two nodes", model -> model.getGraphDefBuilder().addNode(digits.getGraphDef().getNode(0)));
    assertDamaged(
        "two functions",
        model ->
            model
                .getGraphDefBuilder()
                .getLibraryBuilder()
                .addFunction(digits.getGraphDef().getLibrary().getFunction(0)));
    assertDamaged(
        "two nodes",
        model -> {
          GraphDef.Builder graph = model.getGraphDefBuilder();
          var function = graph.getLibraryBuilder().getFunctionBuilder(0);
          function.addNodeDef(function.getNodeDef(0));
        });
  }

  @Test
  void tensorsHaveSizesThatCanBe() {
    assertDamaged("dimension of -3", constant(DataType.DT_FLOAT, 2, -3));
    assertDamaged("unknown shape", constant(DataType.DT_FLOAT, 2, -1));
    assertDamaged("elements", constant(DataType.DT_FLOAT, 1L << 40));
    assertDamaged("more elements", constant(DataType.DT_FLOAT, 1L << 40, 1L << 40));
    assertDamaged("no known type", constant(DataType.DT_INVALID, 2));
    assertDamaged("300 dimensions", constant(DataType.DT_FLOAT, new long[300]));
  }

  @Test
  void tensorsHaveTheBytesThatTheySayTheyHave() {
    for (int bytes : new int[] {1, 4, 12, 400}) {
      assertDamaged(
          "a tensor of 8 bytes that has " + bytes,
          constant(DataType.DT_FLOAT, 2)
              .andThen(
                  model -> {
                    GraphDef.Builder graph = model.getGraphDefBuilder();
                    NodeDef.Builder node = graph.getNodeBuilder(graph.getNodeCount() - 1);
                    AttrValue.Builder value = node.getAttrOrThrow("value").toBuilder();
                    value.getTensorBuilder().setTensorContent(ByteString.copyFrom(new byte[bytes]));
                    node.putAttr("value", value.build());
                  }));
    }
  }

  @Test
  void namesAreNotEndless() {
    NodeDef node = NodeDef.newBuilder().setName("n".repeat(1_000_000)).setOp("NoOp").build();
    assertDamaged("more than 20,000", model -> model.getGraphDefBuilder().addNode(node));
    NodeDef placed = NodeDef.newBuilder().setDevice("d".repeat(1_000_000)).setOp("NoOp").build();
    assertDamaged("more than 20,000", model -> model.getGraphDefBuilder().addNode(placed));
  }

  @Test
  void variablesAreRestored() {
    assertDamaged("restores the variables", MetaGraphDef.Builder::clearSaverDef);
    assertDamaged("'nothing'", model -> model.getSaverDefBuilder().setRestoreOpName("nothing"));
  }

  @Test
  void refusesObjectsThatAreNotThere() {
    assertDamaged(
        "is object 99999 of",
        model ->
            model
                .getObjectGraphDefBuilder()
                .getNodesBuilder(0)
                .getChildrenBuilder(0)
                .setNodeId(99_999));
    assertDamaged(
        "captures is object -1 of",
        model ->
            model
                .getObjectGraphDefBuilder()
                .putConcreteFunctions(
                    "f", SavedConcreteFunction.newBuilder().addBoundInputs(-1).build()));
  }

  @Test
  void callsFitTheirFunctions() {
    for (String attribute : new String[] {"Tin", "Tout"}) {
      assertDamaged(
          "attribute '" + attribute + "' is [], and function '__inference__traced_restore",
          model ->
              model.getGraphDefBuilder().getNodeBuilderList().stream()
                  .filter(node -> node.getName().equals(digits.getSaverDef().getRestoreOpName()))
                  .forEach(node -> node.putAttr(attribute, AttrValue.getDefaultInstance())));
    }
  }
}
