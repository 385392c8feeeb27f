package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;

class TrustedGradientsTest {
  private static NodeDef.Builder node(String op) {
    return NodeDef.newBuilder().setName("n").setOp(op);
  }

  private static AttrValue text(String value) {
    return AttrValue.newBuilder().setS(ByteString.copyFromUtf8(value)).build();
  }

  private static void assertObjection(String expected, NodeDef.Builder node) {
    String reason = TrustedGradients.objection(node.build()).orElse("");
    assertTrue(reason.contains(expected), () -> node.getOp() + ": " + reason);
  }

  @Test
  void plainLayersAreTrusted() {
    NodeDef.Builder conv =
        node("Conv2D").putAttr("padding", text("SAME")).putAttr("data_format", text("NHWC"));
    assertEquals(Optional.empty(), TrustedGradients.objection(node("MatMul").build()));
    assertEquals(Optional.empty(), TrustedGradients.objection(conv.build()));
  }

  @Test
  void attributesWithWrongGradientsAreNot() {
    AttrValue dilations =
        AttrValue.newBuilder()
            .setList(AttrValue.ListValue.newBuilder().addI(1).addI(2).addI(2).addI(1))
            .build();
    assertObjection("dilations [1, 2, 2, 1]", node("Conv2D").putAttr("dilations", dilations));
    assertObjection("explicit padding", node("Conv2D").putAttr("padding", text("EXPLICIT")));
    assertObjection("explicit padding", node("MaxPool").putAttr("padding", text("EXPLICIT")));
    assertObjection("channels first", node("MaxPool").putAttr("data_format", text("NCHW")));
    assertObjection(
        "converts",
        node("Cast")
            .putAttr("SrcT", AttrValue.newBuilder().setType(DataType.DT_FLOAT).build())
            .putAttr("DstT", AttrValue.newBuilder().setType(DataType.DT_INT32).build()));
  }

  @Test
  void customGradientsAndUnknownOperationsAreNot() {
    assertObjection(
        "tf.custom_gradient", node("Identity").putAttr("_gradient_op_type", text("Custom-1")));
    assertObjection("no gradient that was checked", node("BesselI0"));
    assertObjection(
        "because of BesselI0", node("If").putAttr("_without_gradient", text("BesselI0 'x'")));
    assertEquals(
        Optional.empty(),
        TrustedGradients.objection(
            node("IdentityN").putAttr("_gradient_function", text("f")).build()));
  }
}
