package dev.adafactor.bench;

import dev.adafactor.bench.Traffic.Link;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Sharding;
import dev.adafactor.parity.ElementType;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.ndarray.Shape;

/**
 * The bytes that a step of sharded variables sends, as they follow from shapes and layouts. Devices
 * that have parts of the same lines add up on the first of them: the others send it their parts,
 * and it sends each of them the sum.
 *
 * <p>A matrix whose rows are cut into p parts, and whose columns into q, one of m = pq shards on
 * each device, has as many bytes sent as
 *
 * <ul>
 *   <li>2 (q - 1) row means, and 2 (p - 1) column means
 *   <li>2 q (p - 1) scalars, for the mean of the row means
 *   <li>3 (m - 1) scalars: rms(w), rms(u), and the rate
 *   <li>for each replica of a shard but one the shard itself, which is updated once
 * </ul>
 *
 * The gradients lie beside the shards. A sparse one lies in one place and is cut there; replicas
 * are sent those rows alone where nothing else of the shard is written.
 */
final class TrafficModel {

  /** beta2 and 1 - beta2, which all variables have in common; constants are not sent. */
  private static final int SHARED_SCALARS = 2;

  private static final int INDEX_BYTES = Integer.BYTES;

  private final Mesh mesh;
  private final ElementType type;
  private final long scalar;
  private final Map<Link, Long> bytes = new HashMap<>();

  private TrafficModel(Mesh mesh, ElementType type) {
    this.mesh = mesh;
    this.type = type;
    this.scalar = type == ElementType.FLOAT64 ? Double.BYTES : Float.BYTES;
  }

  /** What is sent in a step with tf_keras's default for every argument. */
  static Traffic of(Mesh mesh, ElementType type, List<Parameter> parameters) {
    TrafficModel model = new TrafficModel(mesh, type);
    parameters.forEach(model::add);
    model.addSharedScalars(parameters);
    return new Traffic(model.bytes);
  }

  private void add(Parameter parameter) {
    Shape shape = parameter.shape();
    Sharding sharding = new Sharding(Layout.ofMatrices(mesh, shape), shape);
    if (shape.size() == 0) {
      return;
    }
    int rank = shape.numDimensions();
    long shardBytes = sharding.localShape().size() * type.bytes();
    if (parameter.gradientRows().isPresent()) {
      long rowBytes = rowBytes(sharding, parameter.gradientRows().getAsInt());
      addRows(sharding, rowBytes);
      // Others than matrices of the type of the computation are written as a whole.
      boolean rowsAlone = rank == 2 && type.bytes() == scalar;
      addReplicas(sharding, rowsAlone ? rowBytes : shardBytes);
    } else {
      addReplicas(sharding, shardBytes);
    }
    if (rank >= 2) {
      Shape local = sharding.localShape();
      long r = local.size() / local.get(rank - 1);
      long c = local.size() / local.get(rank - 2);
      addSums(sharding, rank - 1, r);
      addSums(sharding, rank - 2, c);
      addSums(sharding, rank - 2, r / local.get(rank - 2));
    }
    List<Layout.Shard> shards = sharding.layout().shards();
    for (Layout.Shard shard : shards) {
      send(shard.owner(), shards.get(0).owner(), 2 * scalar);
      send(shards.get(0).owner(), shard.owner(), scalar);
    }
  }

  /** Sums over whole lines along an axis, of parts of so many elements. */
  private void addSums(Sharding sharding, int axis, long elements) {
    List<Layout.Shard> shards = sharding.layout().shards();
    for (List<Integer> line : sharding.layout().lines(axis)) {
      int first = shards.get(line.get(0)).owner();
      for (int i : line) {
        send(shards.get(i).owner(), first, elements * scalar);
        send(first, shards.get(i).owner(), elements * scalar);
      }
    }
  }

  /** What the replicas of a shard are set to. */
  private void addReplicas(Sharding sharding, long sent) {
    for (Layout.Shard shard : sharding.layout().shards()) {
      shard.devices().forEach(device -> send(shard.owner(), device, sent));
    }
  }

  /** What a sparse gradient is cut into. */
  private void addRows(Sharding sharding, long rowBytes) {
    for (Layout.Shard shard : sharding.layout().shards()) {
      send(0, shard.owner(), rowBytes);
    }
  }

  /** The part of each row that belongs to a shard, and the numbers of the rows. */
  private long rowBytes(Sharding sharding, long rows) {
    Shape local = sharding.localShape();
    return rows * (local.size() / local.get(0) * type.bytes() + INDEX_BYTES);
  }

  private void addSharedScalars(List<Parameter> parameters) {
    parameters.stream()
        .map(Parameter::shape)
        .filter(shape -> shape.size() > 0)
        .flatMap(shape -> Layout.ofMatrices(mesh, shape).shards().stream())
        .map(Layout.Shard::owner)
        .distinct()
        .forEach(device -> send(0, device, SHARED_SCALARS * scalar));
  }

  private void send(int from, int to, long sent) {
    if (from != to) {
      bytes.merge(new Link(from, to), sent, Long::sum);
    }
  }
}
