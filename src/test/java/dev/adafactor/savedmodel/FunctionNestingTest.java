package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.FunctionDefLibrary;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;

class FunctionNestingTest {
  @Test
  void aFunctionMayNotContainItself() {
    for (Way way : Way.values()) {
      assertRefused("function 'f0' contains itself", function("f0", way, "f0"));
      assertRefused(
          "function 'f0' contains itself",
          function("f0", way, "f1"),
          function("f1", Way.CALL, "f2"),
          function("f2", way, "f0"));
    }
  }

  @Test
  void deepNestingIsRefusedWhateverItsKind() {
    for (Way way : Way.values()) {
      FunctionNesting.require(library(chain(way, 100, 1)));
      assertRefused("function 'f0' contains others more than 100 levels deep", chain(way, 101, 1));
      assertRefused(
          "function 'f9899' contains others more than 100 levels deep", chain(way, 10_000, 1));
    }
  }

  @Test
  void whatGrowsExponentiallyIsRefused() {
    for (Way way : Way.values()) {
      FunctionNesting.require(library(chain(way, 17, 2)));
      assertRefused(
          "function 'f42' has, with all that it contains, more than 400,000 operations",
          chain(way, 60, 2));
    }
  }

  @Test
  void manyFunctionsAreNoDepth() {
    FunctionNesting.require(
        library(
            IntStream.range(0, 10_000)
                .mapToObj(i -> function("f" + i, Way.CALL, "shared"))
                .toArray(FunctionDef[]::new)));
  }

  /**
   * Of functions that contain only later ones none can contain itself; one way back, and one does.
   */
  @Property(tries = 200)
  void findsEveryCycle(
      @ForAll @Size(min = 1, max = 30) List<@IntRange(max = 1000) Integer> draws,
      @ForAll boolean back) {
    int count = draws.size() + 1;
    List<TreeSet<String>> contained = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      contained.add(new TreeSet<>());
    }
    for (int i = 0; i < count - 1; i++) {
      contained.get(i).add("f" + (i + 1));
      contained.get(i).add("f" + (i + 1 + draws.get(i) % (count - 1 - i)));
    }
    if (back) {
      int from = draws.get(0) % count;
      contained.get(from).add("f" + draws.get(draws.size() - 1) % (from + 1));
    }
    FunctionDef[] functions =
        IntStream.range(0, count)
            .mapToObj(
                i ->
                    function("f" + i, Way.values()[i % 4], contained.get(i).toArray(String[]::new)))
            .toArray(FunctionDef[]::new);
    String message = "";
    try {
      FunctionNesting.require(library(functions));
    } catch (IllegalArgumentException e) {
      message = e.getMessage();
    }
    if (!message.contains("operations")) {
      assertEquals(back, message.contains("contains itself"), message);
    }
  }

  private static void assertRefused(String message, FunctionDef... functions) {
    assertEquals(
        message,
        assertThrows(
                IllegalArgumentException.class, () -> FunctionNesting.require(library(functions)))
            .getMessage());
  }

  private enum Way {
    CALL,
    DIRECT,
    LOOP,
    CASE
  }

  private static FunctionDef[] chain(Way way, int levels, int times) {
    return IntStream.range(0, levels)
        .mapToObj(
            i ->
                function(
                    "f" + i,
                    way,
                    IntStream.range(0, i == levels - 1 ? 0 : times)
                        .mapToObj(j -> "f" + (i + 1))
                        .toArray(String[]::new)))
        .toArray(FunctionDef[]::new);
  }

  private static FunctionDef function(String name, Way way, String... contained) {
    FunctionDef.Builder function = FunctionDef.newBuilder();
    function.getSignatureBuilder().setName(name);
    function.addNodeDef(NodeDef.newBuilder().setName("own").setOp("NoOp"));
    for (String inner : contained) {
      NameAttrList reference = NameAttrList.newBuilder().setName(inner).build();
      AttrValue one = AttrValue.newBuilder().setFunc(reference).build();
      NodeDef.Builder node = NodeDef.newBuilder().setName("n" + function.getNodeDefCount());
      switch (way) {
        case CALL -> node.setOp("PartitionedCall").putAttr("f", one);
        case DIRECT -> node.setOp(inner);
        case LOOP -> node.setOp("While").putAttr("body", one);
        case CASE ->
            node.setOp("Case")
                .putAttr(
                    "branches",
                    AttrValue.newBuilder()
                        .setList(AttrValue.ListValue.newBuilder().addFunc(reference))
                        .build());
      }
      function.addNodeDef(node);
    }
    return function.build();
  }

  private static FunctionDefLibrary library(FunctionDef... functions) {
    return FunctionDefLibrary.newBuilder().addAllFunction(List.of(functions)).build();
  }
}
