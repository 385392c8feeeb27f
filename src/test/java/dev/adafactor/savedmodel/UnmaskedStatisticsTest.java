package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.tensorflow.proto.MetaGraphDef;

class UnmaskedStatisticsTest {
  private static final MetaGraphDef PLAIN = MetaGraphDef.getDefaultInstance();

  /** A model with a model in it, and a function that compares. */
  private static final MetaGraphDef NESTED =
      Operations.parse(
              MetaGraphDef.newBuilder(),
              """
              object_graph_def {
                nodes { user_object { identifier: '_tf_keras_network' } }
                nodes { user_object { identifier: '_tf_keras_sequential' } }
              }
              graph_def { library { function { node_def { name: 'mask' op: 'NotEqual' } } } }
              """)
          .build();

  private static final String MASKING =
      node("compared", "NotEqual", "x x", "")
          + node("mask", "Any", "compared axes", "")
          + node("cast", "Cast", "mask", "")
          + node("h", "Mul", "x cast", "");

  private static boolean mayBe(MetaGraphDef model, String axes, String... parts) {
    return UnmaskedStatistics.mayBeIn(
        Operations.graph(
            node("x", "Placeholder", "", "dtype:FLOAT"),
            "node { name: 'axes' op: 'Const' attr { key: 'value' value { tensor { dtype: DT_INT32"
                + axes
                + " } } } }",
            node("variable", "VarHandleOp", "", "dtype:FLOAT"),
            node("mean", "Mean", "h axes", ""),
            node("assign", "AssignSubVariableOp", "variable mean", ""),
            node("end", "NoOp", "^assign", ""),
            String.join("\n", parts)),
        "end",
        model);
  }

  private static final String EXAMPLES = " tensor_shape { dim { size: 1 } } int_val: 0";
  private static final String POSITIONS = " tensor_shape { dim { size: 2 } } int_val: [0, 1]";

  @Test
  void aMaskingLayerLosesItsMask() {
    assertTrue(mayBe(PLAIN, POSITIONS, MASKING));
  }

  @Test
  void statisticsOfWholeExamplesKnowNoMask() {
    assertFalse(mayBe(PLAIN, EXAMPLES, MASKING));
  }

  @Test
  void statisticsOverWhatIsNotKnownMayNeedAMask() {
    assertTrue(mayBe(PLAIN, EXAMPLES.replace("int_val: 0", "int_val: -2"), MASKING));
    assertTrue(mayBe(PLAIN, "} } } attr { key: 'unknown' value { tensor {", MASKING));
    assertFalse(mayBe(PLAIN, EXAMPLES.replace("int_val: 0", "int_val: 1"), MASKING));
  }

  @Test
  void positionsMayBeExamplesToALayerWithin() {
    String reshaped = MASKING.replace("'h'", "'masked'") + node("h", "Reshape", "masked axes", "");
    assertTrue(mayBe(PLAIN, EXAMPLES, reshaped));
  }

  @Test
  void withoutAMaskNoneIsLost() {
    assertFalse(mayBe(PLAIN, POSITIONS, node("h", "Neg", "x", "")));
  }

  @Test
  void aModelWithinLosesItsMask() {
    assertTrue(mayBe(NESTED, POSITIONS, node("h", "Neg", "x", "")));
    assertFalse(mayBe(NESTED, EXAMPLES, node("h", "Neg", "x", "")));
  }
}
