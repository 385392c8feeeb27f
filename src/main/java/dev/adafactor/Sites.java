package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Placement;
import dev.adafactor.mesh.Mesh;
import java.util.Optional;
import org.tensorflow.Graph;
import org.tensorflow.op.Ops;

/**
 * Where an optimizer's operations go: a name scope of its own.
 *
 * @param shared of those that variables have in common: on the first device of the mesh
 * @param placement of those that work on one variable
 * @param initializers of those that initialize the state of one variable
 */
record Sites(Constants shared, Placement placement, Placement initializers) {

  static Sites of(Graph graph, String scope, Optional<Mesh> mesh) {
    Ops ops = Ops.create(graph).withSubScope(scope);
    Constants anywhere = new Constants(ops);
    return new Sites(
        mesh.map(grid -> new Constants(ops.withDevice(grid.device(0)))).orElse(anywhere),
        new Placement(anywhere),
        new Placement(new Constants(ops.withInitScope())));
  }

  /** Of those that are for no device. */
  Ops ops() {
    return placement.anywhere().ops();
  }
}
