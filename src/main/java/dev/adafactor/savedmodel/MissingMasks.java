package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.FunctionChoice.Part;
import dev.adafactor.savedmodel.GraphMatch.Pair;
import dev.adafactor.savedmodel.MaskedMatch.Addition;
import dev.adafactor.savedmodel.SignatureMatch.NoMatchException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/**
 * Adds the masks that a signature has to functions of the model that were saved without them.
 *
 * <p>Three traces of the same Python code are laid side by side: the signature, with masks; the
 * call for inference, without them; and the call for training, without them, but with dropout and
 * the like. The first two tell where a mask is added and what it is computed from, the last two
 * what that is in training. Between the first two no other difference is allowed, as {@link
 * MaskedMatch} tells. Each tensor that a mask is computed from must be one and the same wherever
 * training uses it, and whatever uses scores to be masked must be known to the signature.
 */
final class MissingMasks {
  /** A mask is computed by some ten operations. */
  private static final int MOST_OPERATIONS = 1000;

  private static final String REASON =
      "its functions for training lack masks that the signature has, and %s";

  private final FlatGraph flat;
  private final GraphMatch graph;
  private final Map<String, OpDef> operations;
  private final Set<Pair> same = new LinkedHashSet<>();
  private final Set<Addition> additions = new LinkedHashSet<>();
  private final Set<MaskedLoop> loops = new LinkedHashSet<>();
  private final Map<String, Set<Use>> uses = new HashMap<>();
  private final Map<String, NodeDef> nodes = new LinkedHashMap<>();

  /** One of a node's inputs. */
  private record Use(String node, int input) {}

  private MissingMasks(FlatGraph flat, GraphDef model, Map<String, OpDef> operations) {
    this.flat = flat;
    this.graph = new GraphMatch(flat.graphDef(), model, operations);
    this.operations = operations;
    for (NodeDef node : flat.graphDef().getNodeList()) {
      nodes.put(node.getName(), node);
      uses(node)
          .forEach((tensor, use) -> uses.computeIfAbsent(tensor, t -> new HashSet<>()).addAll(use));
    }
  }

  /**
   * Adds the masks.
   *
   * @param flat the graph with all of the following
   * @param signature what the signature computes
   * @param unmasked the call for inference, which computes the same without masks
   * @param functions the calls to complete
   * @param model the graph with the library that branches and loops name functions of
   * @throws NoMatchException if it cannot be told for sure where a mask belongs in training
   */
  static FlatGraph add(
      FlatGraph flat,
      Part signature,
      Part unmasked,
      List<Part> functions,
      GraphDef model,
      Map<String, OpDef> operations)
      throws NoMatchException {
    MissingMasks masks = new MissingMasks(flat, model, operations);
    masks.find(signature, unmasked);
    for (Part function : functions) {
      masks.complete(function, unmasked);
    }
    GraphDef.Builder completed = flat.graphDef().toBuilder().clearNode();
    return new FlatGraph(
        completed.addAllNode(masks.nodes.values()).build(), flat.tensors(), flat.randomness());
  }

  private void find(Part signature, Part unmasked) throws NoMatchException {
    for (Map.Entry<String, String> output : signature.outputs().entrySet()) {
      String first = flat.tensors().get(output.getValue());
      String second = flat.tensors().get(unmasked.outputs().get(output.getKey()));
      MaskedMatch match = MaskedMatch.of(graph, first, second, Map.of());
      if (!match.isSame()) {
        throw cannot("they differ otherwise");
      }
      same.addAll(match.same());
      additions.addAll(match.additions());
      loops.addAll(match.loops());
    }
  }

  private static NoMatchException cannot(String why) {
    return new NoMatchException(REASON.formatted(why));
  }

  private void complete(Part function, Part unmasked) throws NoMatchException {
    Set<Pair> results = new LinkedHashSet<>();
    Set<String> roots = new HashSet<>();
    for (Map.Entry<String, String> output : function.outputs().entrySet()) {
      String tensor = flat.tensors().get(output.getValue());
      roots.add(graph.source(tensor));
      results.add(new Pair(flat.tensors().get(unmasked.outputs().get(output.getKey())), tensor));
    }
    function.losses().forEach(loss -> roots.add(graph.source(flat.tensors().get(loss))));
    Counterparts counterparts = Counterparts.of(graph, results);
    Map<String, String> copies = new HashMap<>();
    for (Addition addition : additions) {
      complete(addition, counterparts, roots, copies);
    }
    for (MaskedLoop loop : loops) {
      complete(loop, counterparts, roots, copies);
    }
  }

  /** Lets whatever takes scores take their sum with the mask, where the signature does. */
  private void complete(
      Addition addition, Counterparts counterparts, Set<String> roots, Map<String, String> copies)
      throws NoMatchException {
    String scores =
        tensor(
            counterpart(Tensors.node(addition.unmasked()), counterparts).getName(),
            Tensors.index(addition.unmasked()));
    replace(
        uses(addition.sum(), addition.unmasked(), scores, counterparts, roots),
        sum(addition, scores, counterparts, copies));
  }

  /** Runs the signature's loop in place of one without a mask. */
  private void complete(
      MaskedLoop loop, Counterparts counterparts, Set<String> roots, Map<String, String> copies)
      throws NoMatchException {
    String name = counterpart(loop.unmasked(), counterparts).getName();
    NodeDef masked = graph.node(loop.masked());
    List<String> inputs = new ArrayList<>();
    for (int i = 0; i < Tensors.inputs(masked).size(); i++) {
      int place = loop.places().indexOf(i);
      inputs.add(
          place >= 0
              ? nodes.get(name).getInput(place)
              : copy(masked.getInput(i), name, counterparts, copies));
    }
    inputs.addAll(Tensors.controls(nodes.get(name)));
    String completed = add(masked, name, inputs);
    for (int i = 0; i < loop.places().size(); i++) {
      String result = tensor(name, i);
      if (uses.containsKey(result) || roots.contains(result)) {
        int place = loop.places().get(i);
        Set<Use> replaced =
            uses(
                tensor(loop.masked(), place),
                tensor(loop.unmasked(), i),
                result,
                counterparts,
                roots);
        replace(replaced, tensor(completed, place));
      }
    }
    redirect(name, completed, loop.places());
  }

  /** Lets what waits for a loop, or copies its results, take another, so that one alone runs. */
  private void redirect(String loop, String by, List<Integer> places) {
    for (NodeDef node : List.copyOf(nodes.values())) {
      NodeDef.Builder redirected = node.toBuilder();
      for (int i = 0; i < node.getInputCount(); i++) {
        String input = node.getInput(i);
        if (input.equals("^" + loop)) {
          redirected.setInput(i, "^" + by);
        } else if (!input.startsWith("^") && Tensors.node(input).equals(loop)) {
          redirected.setInput(i, tensor(by, places.get(Tensors.index(input))));
        }
      }
      nodes.put(node.getName(), redirected.build());
    }
  }

  /** The node of the function that is a node of the call for inference. */
  private NodeDef counterpart(String unmasked, Counterparts counterparts) throws NoMatchException {
    return counterparts
        .ofNode(unmasked)
        .filter(node -> graph.isSameOperation(node, graph.node(unmasked)))
        .orElseThrow(() -> cannot("it cannot be told where they belong"));
  }

  private void replace(Set<Use> replaced, String by) {
    for (Use use : replaced) {
      NodeDef user = nodes.get(use.node);
      nodes.put(use.node, user.toBuilder().setInput(use.input, by).build());
    }
  }

  /**
   * The uses of a tensor that are to use another, which has a mask.
   *
   * @param masked what the signature uses there
   * @param unmasked what the call for inference uses
   * @param tensor what the function uses
   * @throws NoMatchException if it has uses of which the signature does not tell
   */
  private Set<Use> uses(
      String masked, String unmasked, String tensor, Counterparts counterparts, Set<String> roots)
      throws NoMatchException {
    Set<Use> found = new LinkedHashSet<>();
    Set<Use> known = new HashSet<>();
    for (Pair pair : same) {
      NodeDef first = graph.node(pair.first());
      NodeDef second = graph.node(pair.second());
      if (!graph.isSameOperation(first, second)) {
        continue;
      }
      for (int i = 0; i < Tensors.inputs(second).size(); i++) {
        if (graph.source(second.getInput(i)).equals(unmasked)) {
          String user =
              counterparts
                  .ofNode(second.getName())
                  .filter(node -> graph.isSameOperation(node, second))
                  .map(NodeDef::getName)
                  .orElseThrow(() -> cannot("it cannot be told what uses them"));
          Use use = new Use(user, i);
          known.add(use);
          if (graph.source(first.getInput(i)).equals(masked)) {
            found.add(use);
          }
        }
      }
    }
    if (found.isEmpty()
        || roots.contains(tensor)
        || !known.equals(uses.getOrDefault(tensor, Set.of()))) {
      throw cannot("what they mask is used otherwise in training");
    }
    return found;
  }

  private String sum(
      Addition addition, String scores, Counterparts counterparts, Map<String, String> copies)
      throws NoMatchException {
    NodeDef sum = graph.node(addition.sum());
    String mask = copy(sum.getInput(addition.mask()), scores, counterparts, copies);
    return add(sum, scores, addition.scores() == 0 ? List.of(scores, mask) : List.of(mask, scores));
  }

  /** What a tensor of the signature that a mask is computed from is in training. */
  private String copy(
      String input, String scope, Counterparts counterparts, Map<String, String> copies)
      throws NoMatchException {
    String tensor = graph.source(input);
    String node = Tensors.node(tensor);
    if (copies.containsKey(node)) {
      return tensor(copies.get(node), Tensors.index(tensor));
    }
    Set<String> known = new LinkedHashSet<>();
    boolean isKnown = false;
    boolean isSame = true;
    for (Pair pair : same) {
      if (pair.first().equals(tensor)) {
        isKnown = true;
        for (String counterpart : counterparts.of(pair.second())) {
          known.add(counterpart);
          isSame &=
              graph.isSameOperation(graph.node(counterpart), graph.node(pair.second()))
                  && Tensors.index(counterpart) == Tensors.index(pair.second());
        }
      }
    }
    if (isKnown) {
      if (known.size() != 1 || !isSame) {
        throw cannot("what they are computed from is not the same in training");
      }
      return known.iterator().next();
    }
    NodeDef original = graph.node(node);
    if (original.getOp().equals("VarHandleOp")) {
      return tensor;
    }
    if (!isSameInTraining(original) || copies.size() >= MOST_OPERATIONS) {
      throw cannot("it cannot be told what they are computed from");
    }
    List<String> inputs = new ArrayList<>();
    for (String of : Tensors.inputs(original)) {
      inputs.add(copy(of, scope, counterparts, copies));
    }
    String copy = add(original, scope, inputs);
    copies.put(node, copy);
    return tensor(copy, Tensors.index(tensor));
  }

  /** Whether a node gives the same in training if its inputs are the same. */
  private boolean isSameInTraining(NodeDef node) {
    if (node.getOp().equals("ReadVariableOp")) {
      String variable = graph.source(node.getInput(0));
      return uses.get(variable).stream()
          .noneMatch(use -> graph.node(use.node).getOp().startsWith("Assign"));
    }
    OpDef operation = operations.get(node.getOp());
    return operation != null
        && !operation.getIsStateful()
        && !node.getOp().equals("Placeholder")
        && node.getAttrMap().values().stream().noneMatch(MissingMasks::namesFunctions);
  }

  /** A branch or a loop may do something else in training. */
  private static boolean namesFunctions(AttrValue attribute) {
    return attribute.hasFunc() || attribute.getList().getFuncCount() > 0;
  }

  private String add(NodeDef original, String scope, List<String> inputs) {
    String local = original.getName().substring(original.getName().lastIndexOf('/') + 1);
    String name = Tensors.node(scope) + "/mask/" + local;
    for (int i = 1; nodes.containsKey(name); i++) {
      name = Tensors.node(scope) + "/mask/" + local + "_" + i;
    }
    nodes.put(name, original.toBuilder().setName(name).clearInput().addAllInput(inputs).build());
    return name;
  }

  private static String tensor(String node, int index) {
    return index == 0 ? node : node + ":" + index;
  }

  /** What a node computes with, not counting those that only copy. */
  private Map<String, Set<Use>> uses(NodeDef node) {
    Map<String, Set<Use>> found = new HashMap<>();
    if (graph.source(node.getName()).equals(node.getName())) {
      List<String> inputs = Tensors.inputs(node);
      for (int i = 0; i < inputs.size(); i++) {
        found
            .computeIfAbsent(graph.source(inputs.get(i)), key -> new HashSet<>())
            .add(new Use(node.getName(), i));
      }
    }
    return found;
  }
}
