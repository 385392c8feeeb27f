package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;
import org.tensorflow.proto.TensorProto;
import org.tensorflow.proto.TensorShapeProto;

/**
 * Replaces random operations, whose state no checkpoint holds, by ones that draw the same numbers
 * from the same seed, operation and step.
 *
 * <p>Seed and step come from one tensor that may be fed in each run. In a run where it is not, it
 * is random itself. Branches and loops whose functions draw numbers get a seed as their last
 * argument. That of a loop is a variable of it: each iteration draws the next from it.
 *
 * <p>Numbers of a {@code tf.random.Generator} are stateless as they are: functions of a counter and
 * a key that an operation reads from the generator's variable and moves on. That operation is
 * replaced, and the variable keeps its value.
 */
final class StatelessRandomness {
  private static final Map<String, String> STATELESS =
      Map.of(
          "RandomUniform", "StatelessRandomUniform",
          "RandomStandardNormal", "StatelessRandomNormal",
          "TruncatedNormal", "StatelessTruncatedNormal",
          "RandomUniformInt", "StatelessRandomUniformInt");

  /** Takes counter and key of a generator. */
  private static final String GENERATOR = "RngReadAndSkip";

  /** Of counter and key, for the algorithm that has the longest; others take less of it. */
  private static final int GENERATOR_WORDS = 3;

  /** Branches and loops, and their attribute with the types of what they pass to functions. */
  private static final Map<String, String> CONTROL_FLOW =
      Map.of(
          "If", "Tin",
          "StatelessIf", "Tin",
          "Case", "Tin",
          "StatelessCase", "Tin",
          "While", "T",
          "StatelessWhile", "T");

  /** Makes the seed of an operation of the one that all follow from. */
  private static final String KEYED = "AddV2";

  private static final String OWN_SEED = "/seed";

  private static final String BODY = "body";
  private static final String SHAPES = "output_shapes";

  private final GraphDef model;
  private final Map<String, OpDef> operations;
  private final Map<String, FunctionDef> functions = new HashMap<>();
  private final Set<String> names;
  private final Map<String, Boolean> drawing = new HashMap<>();
  private final Map<Use, String> rewritten = new HashMap<>();
  private final List<FunctionDef> added = new ArrayList<>();

  /** A function, and whether it is the body of a loop, which returns the next seed. */
  private record Use(NameAttrList function, boolean isBody) {}

  private StatelessRandomness(GraphDef model, Map<String, OpDef> operations) {
    this.model = model;
    this.operations = operations;
    model
        .getLibrary()
        .getFunctionList()
        .forEach(function -> functions.put(function.getSignature().getName(), function));
    this.names = new HashSet<>(functions.keySet());
  }

  /**
   * Replaces the random operations of a flat graph and of its branches and loops.
   *
   * @param flat the flat graph
   * @param model the graph with the library that branches and loops name functions of
   * @param operations the known operations, by name
   * @return the graph with the same tensors, and with a library of the functions that were added
   */
  static FlatGraph rewrite(FlatGraph flat, GraphDef model, Map<String, OpDef> operations) {
    return new StatelessRandomness(model, operations).rewrite(flat);
  }

  /** The operations of a rewritten graph that draw numbers, or whose functions do. */
  static List<String> drawing(FlatGraph flat) {
    return flat.graphDef().getNodeList().stream()
        .filter(node -> node.getOp().equals(KEYED) && flat.randomness().isPresent())
        .filter(node -> node.getInput(0).equals(flat.randomness().get()))
        .map(node -> node.getName().substring(0, node.getName().lastIndexOf(OWN_SEED)))
        .toList();
  }

  private FlatGraph rewrite(FlatGraph flat) {
    if (flat.graphDef().getNodeList().stream().noneMatch(this::draws)) {
      return flat;
    }
    Pass pass = new Pass(flat.graphDef());
    String seed = pass.addSeed();
    flat.graphDef().getNodeList().forEach(node -> pass.add(node, seed, node.getName()));
    GraphDef.Builder graph = pass.graph;
    graph.getLibraryBuilder().addAllFunction(added);
    return new FlatGraph(graph.build(), flat.tensors(), Optional.of(seed));
  }

  private boolean draws(NodeDef node) {
    return isRandom(node)
        || (CONTROL_FLOW.containsKey(node.getOp()) && Library.calls(node).anyMatch(this::draws));
  }

  /** Whether a node draws numbers that are made to follow from the step. */
  static boolean isRandom(NodeDef node) {
    return STATELESS.containsKey(node.getOp()) || node.getOp().equals(GENERATOR);
  }

  /** Whether a function of the model draws numbers, in the functions that it calls included. */
  private boolean draws(String function) {
    Boolean known = drawing.get(function);
    if (known == null) {
      // Until it is known: a function that contains itself is refused elsewhere.
      drawing.put(function, false);
      known =
          functions.containsKey(function)
              && functions.get(function).getNodeDefList().stream()
                  .anyMatch(node -> isRandom(node) || Library.calls(node).anyMatch(this::draws));
      drawing.put(function, known);
    }
    return known;
  }

  /** A function that takes a seed after the arguments of one of the model's. */
  private NameAttrList withSeed(Use use) {
    String name = rewritten.get(use);
    if (name == null) {
      name = unique("stateless_function_" + rewritten.size(), names);
      rewritten.put(use, name);
      added.add(FunctionWriter.write(name, rewrite(use), operations));
    }
    return NameAttrList.newBuilder().setName(name).build();
  }

  private FlatFunction rewrite(Use use) {
    FlatFunction function = FlatFunction.of(use.function, model, operations);
    Pass pass = new Pass(function.graphDef());
    String seed = pass.unique(FunctionDerivative.argument(function.arguments().size()));
    pass.graph.addNode(FlatFunction.placeholder(seed, DataType.DT_INT64));
    for (NodeDef node : function.graphDef().getNodeList()) {
      pass.add(node, seed, use.function.getName() + "/" + node.getName());
    }
    List<String> arguments = new ArrayList<>(function.arguments());
    arguments.add(seed);
    List<String> results = new ArrayList<>(function.results());
    if (use.isBody) {
      results.add(pass.next(seed));
    }
    return new FlatFunction(pass.graph.build(), arguments, results);
  }

  /** One graph being rewritten. */
  private final class Pass {
    private final GraphDef.Builder graph;
    private final Set<String> names = new HashSet<>();

    Pass(GraphDef old) {
      graph = old.toBuilder().clearNode();
      old.getNodeList().forEach(node -> names.add(node.getName()));
    }

    /** Adds a node, one that draws numbers as a function of a seed and a key of its own. */
    void add(NodeDef node, String seed, String key) {
      if (STATELESS.containsKey(node.getOp())) {
        draw(node, keyed(node.getName(), seed, key));
      } else if (node.getOp().equals(GENERATOR)) {
        integers(
            node.getName(),
            GENERATOR_WORDS,
            keyed(node.getName(), seed, key),
            Tensors.controls(node));
      } else if (draws(node)) {
        call(node, keyed(node.getName(), seed, key));
      } else {
        graph.addNode(node);
      }
    }

    String addSeed() {
      String seed = unique("seed_and_step");
      String shape = length(seed + "/shape", 2);
      String low = unique(seed + "/low");
      String high = unique(seed + "/high");
      String random = unique(seed + "/random");
      graph.addNode(Nodes.constant(low, scalar(0)));
      graph.addNode(Nodes.constant(high, scalar(Long.MAX_VALUE)));
      graph.addNode(
          NodeDef.newBuilder()
              .setName(random)
              .setOp("RandomUniformInt")
              .addInput(shape)
              .addInput(low)
              .addInput(high)
              .putAttr("T", GradientGraph.type(DataType.DT_INT32))
              .putAttr("Tout", GradientGraph.type(DataType.DT_INT64)));
      graph.addNode(
          NodeDef.newBuilder()
              .setName(seed)
              .setOp("PlaceholderWithDefault")
              .addInput(random)
              .putAttr("dtype", GradientGraph.type(DataType.DT_INT64))
              .putAttr("shape", AttrValue.newBuilder().setShape(vector(2)).build()));
      return seed;
    }

    /** The seed of the next iteration. */
    String next(String seed) {
      String next = unique("next_seed");
      integers(next, 2, seed, List.of());
      return next + ":0";
    }

    /** Adds a node that draws integers of all values. */
    private void integers(String name, int count, String seed, List<String> controls) {
      String shape = length(name + "/shape", count);
      graph.addNode(
          NodeDef.newBuilder()
              .setName(name)
              .setOp("StatelessRandomUniformFullInt")
              .addInput(shape)
              .addInput(seed)
              .addAllInput(controls)
              .putAttr("T", GradientGraph.type(DataType.DT_INT32))
              .putAttr("Tseed", GradientGraph.type(DataType.DT_INT64))
              .putAttr("dtype", GradientGraph.type(DataType.DT_INT64)));
    }

    /** The shape of a vector. */
    private String length(String name, int count) {
      String length = unique(name);
      graph.addNode(
          Nodes.constant(
              length,
              TensorProto.newBuilder()
                  .setDtype(DataType.DT_INT32)
                  .setTensorShape(vector(1))
                  .addIntVal(count)
                  .build()));
      return length;
    }

    /** A seed that no other key has. */
    private String keyed(String node, String seed, String key) {
      String constant = unique(node + "/key");
      String own = unique(node + OWN_SEED);
      graph.addNode(
          Nodes.constant(
              constant,
              TensorProto.newBuilder()
                  .setDtype(DataType.DT_INT64)
                  .setTensorShape(vector(2))
                  .addInt64Val(hash(key))
                  .addInt64Val(0)
                  .build()));
      graph.addNode(
          NodeDef.newBuilder()
              .setName(own)
              .setOp(KEYED)
              .addInput(seed)
              .addInput(constant)
              .putAttr("T", GradientGraph.type(DataType.DT_INT64)));
      return own;
    }

    private void draw(NodeDef node, String seed) {
      boolean integers = node.getOp().equals("RandomUniformInt");
      graph.addNode(
          NodeDef.newBuilder()
              .setName(node.getName())
              .setOp(STATELESS.get(node.getOp()))
              .addInput(node.getInput(0))
              .addInput(seed)
              .addAllInput(node.getInputList().subList(1, node.getInputCount()))
              .putAttr("T", node.getAttrOrThrow("T"))
              .putAttr("Tseed", GradientGraph.type(DataType.DT_INT64))
              .putAttr("dtype", node.getAttrOrThrow(integers ? "Tout" : "dtype")));
    }

    private void call(NodeDef node, String seed) {
      NodeDef.Builder call =
          node.toBuilder()
              .clearInput()
              .addAllInput(Tensors.inputs(node))
              .addInput(seed)
              .addAllInput(Tensors.controls(node));
      node.getAttrMap()
          .forEach(
              (name, value) -> {
                AttrValue.Builder copy = value.toBuilder();
                if (value.hasFunc()) {
                  copy.setFunc(withSeed(new Use(value.getFunc(), name.equals(BODY))));
                }
                for (int i = 0; i < value.getList().getFuncCount(); i++) {
                  Use branch = new Use(value.getList().getFunc(i), false);
                  copy.getListBuilder().setFunc(i, withSeed(branch));
                }
                call.putAttr(name, copy.build());
              });
      String types = CONTROL_FLOW.get(node.getOp());
      AttrValue.Builder passed = Library.attribute(node, types).toBuilder();
      passed.getListBuilder().addType(DataType.DT_INT64);
      call.putAttr(types, passed.build());
      if (node.containsAttr(BODY)) {
        // Those of the results, of which there is one more.
        call.removeAttr("_output_shapes");
        AttrValue.Builder shapes =
            node.getAttrOrDefault(SHAPES, AttrValue.getDefaultInstance()).toBuilder();
        if (shapes.getList().getShapeCount() > 0) {
          shapes.getListBuilder().addShape(vector(2));
          call.putAttr(SHAPES, shapes.build());
        }
      }
      graph.addNode(call);
    }

    private String unique(String name) {
      return StatelessRandomness.unique(name, names);
    }
  }

  /** The same for the same name in all processes and versions. */
  private static long hash(String name) {
    long hash = 0;
    for (int i = 0; i < name.length(); i++) {
      hash = 1_000_003 * hash + name.charAt(i);
    }
    return hash;
  }

  private static TensorProto scalar(long value) {
    return TensorProto.newBuilder()
        .setDtype(DataType.DT_INT64)
        .setTensorShape(TensorShapeProto.getDefaultInstance())
        .addInt64Val(value)
        .build();
  }

  private static TensorShapeProto vector(int size) {
    return TensorShapeProto.newBuilder()
        .addDim(TensorShapeProto.Dim.newBuilder().setSize(size))
        .build();
  }

  private static String unique(String name, Set<String> names) {
    String free = name;
    for (int i = 1; !names.add(free); i++) {
      free = name + "_" + i;
    }
    return free;
  }
}
