package dev.adafactor.mesh;

import dev.adafactor.graph.Placement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.tensorflow.DeviceSpec;
import org.tensorflow.proto.ConfigProto;

/**
 * A grid of devices whose dimensions have names, as {@code tf.experimental.dtensor.Mesh}. The
 * devices may be of one process or of several.
 *
 * @param dimensions in order
 * @param devices one for each point of the grid, the last dimension varying fastest; each once
 */
public record Mesh(List<Dimension> dimensions, List<String> devices) {

  private static final Pattern DIMENSION = Pattern.compile("(\\w+)=(\\d{1,9})");

  private static final String OWN_TASK = "/job:localhost/task:0";

  /** The most CPU devices that one process is divided into. */
  private static final int MOST_VIRTUAL = 1024;

  /**
   * A dimension of the grid.
   *
   * @param name of letters, digits and underscores
   * @param size at least 1
   */
  public record Dimension(String name, int size) {

    /**
     * @throws IllegalArgumentException if it cannot have that name or size
     */
    public Dimension {
      if (!name.matches("\\w+") || name.equals(Layout.UNSHARDED)) {
        throw new IllegalArgumentException(
            "'%s' cannot name a mesh dimension: give letters, digits and underscores, not '%s'"
                .formatted(name, Layout.UNSHARDED));
      }
      if (size < 1) {
        throw new IllegalArgumentException(
            "mesh dimension '%s' has size %d, it must be at least 1".formatted(name, size));
      }
    }

    @Override
    public String toString() {
      return name + "=" + size;
    }
  }

  /**
   * @throws IllegalArgumentException if there is no dimension, two have one name, there are more or
   *     fewer devices than points, a device is given twice or is none, or this process cannot have
   *     it
   */
  public Mesh {
    dimensions = List.copyOf(dimensions);
    if (dimensions.isEmpty()) {
      throw new IllegalArgumentException("a mesh must have a dimension, such as x=2");
    }
    Set<String> names = new HashSet<>();
    for (Dimension dimension : dimensions) {
      if (!names.add(dimension.name())) {
        throw new IllegalArgumentException(
            "the mesh has two dimensions named '%s'".formatted(dimension.name()));
      }
    }
    if (points(dimensions) != devices.size()) {
      throw new IllegalArgumentException(
          "the mesh %s has %d points, but %d devices are given"
              .formatted(text(dimensions), points(dimensions), devices.size()));
    }
    devices = devices.stream().map(device -> Placement.one(device).toString()).toList();
    requireDistinct(devices);
    for (String device : devices) {
      if (isOwnCpu(Placement.one(device)) && Placement.one(device).deviceIndex() >= MOST_VIRTUAL) {
        throw new IllegalArgumentException(
            "device '%s' is one of too many: a process has %d CPU devices at most"
                .formatted(device, MOST_VIRTUAL));
      }
    }
  }

  private static void requireDistinct(List<String> devices) {
    Set<String> seen = new HashSet<>();
    for (String device : devices) {
      if (!seen.add(device)) {
        throw new IllegalArgumentException(
            "device '%s' is given twice; each must be another".formatted(device));
      }
    }
    for (String device : devices) {
      String task =
          device.replaceFirst("^/device", OWN_TASK + "/device").replaceFirst("/device:.*", "");
      if (!task.equals(device) && seen.contains(task)) {
        throw new IllegalArgumentException(
            "'%s' may be the device '%s', which is given too; name a device of that task each time"
                .formatted(task, device));
      }
    }
  }

  private static boolean isOwnCpu(DeviceSpec device) {
    return device.job() == null && device.deviceType() == DeviceSpec.DeviceType.CPU;
  }

  /**
   * Reads dimensions.
   *
   * @param dimensions as {@code x=2,y=2}
   * @param devices one for each point, the last dimension varying fastest, as {@code
   *     /device:CPU:1}, {@code /job:worker/task:1/device:GPU:0} or {@code /job:worker/task:1}
   * @throws IllegalArgumentException as the constructor, or if the dimensions cannot be read
   */
  public static Mesh parse(String dimensions, List<String> devices) {
    return new Mesh(dimensions(dimensions), devices);
  }

  /**
   * A mesh over CPU devices of one process, those with the first numbers. A session has as many if
   * it is made with {@link #config}.
   *
   * @param dimensions as {@code x=2,y=2}
   * @throws IllegalArgumentException if the dimensions cannot be read
   */
  public static Mesh virtualCpus(String dimensions) {
    List<Dimension> read = dimensions(dimensions);
    long points = points(read);
    if (points > MOST_VIRTUAL) {
      throw new IllegalArgumentException(
          "the mesh %s has more than %d points, too many for one process"
              .formatted(text(read), MOST_VIRTUAL));
    }
    return new Mesh(
        read, IntStream.range(0, (int) points).mapToObj(i -> "/device:CPU:" + i).toList());
  }

  private static List<Dimension> dimensions(String text) {
    List<Dimension> read = new ArrayList<>();
    for (String part : text.split(",", -1)) {
      Matcher parts = DIMENSION.matcher(part.strip());
      if (!parts.matches()) {
        throw new IllegalArgumentException(
            "'%s' is no mesh: give names and sizes, as x=2,y=2".formatted(text));
      }
      read.add(new Dimension(parts.group(1), Integer.parseInt(parts.group(2))));
    }
    return read;
  }

  /** How many points the grid has; the largest number where it has more. */
  private static long points(List<Dimension> dimensions) {
    long points = 1;
    for (Dimension dimension : dimensions) {
      points = Math.min(points * dimension.size(), Integer.MAX_VALUE);
    }
    return points;
  }

  /** The names of the dimensions, in order. */
  public List<String> dimNames() {
    return dimensions.stream().map(Dimension::name).toList();
  }

  /** Whether it has a dimension of that name. */
  public boolean containsDim(String name) {
    return dimNames().contains(name);
  }

  /**
   * The number of points along a dimension.
   *
   * @throws IllegalArgumentException if there is none of that name
   */
  public int dimSize(String name) {
    return dimensions.get(axis(name)).size();
  }

  /** The place of a dimension among the others. */
  int axis(String name) {
    int axis = dimNames().indexOf(name);
    if (axis < 0) {
      throw new IllegalArgumentException("the mesh %s has no dimension '%s'".formatted(this, name));
    }
    return axis;
  }

  /** The number of devices. */
  public int size() {
    return devices.size();
  }

  /**
   * Where in the grid a device is, a number along each dimension.
   *
   * @param device its place in {@link #devices}
   */
  public List<Integer> coordinates(int device) {
    Integer[] coordinates = new Integer[dimensions.size()];
    int rest = Objects.checkIndex(device, size());
    for (int axis = dimensions.size() - 1; axis >= 0; axis--) {
      coordinates[axis] = rest % dimensions.get(axis).size();
      rest /= dimensions.get(axis).size();
    }
    return List.of(coordinates);
  }

  /**
   * A device, for {@code Ops.withDevice}.
   *
   * @param device its place in {@link #devices}
   */
  public DeviceSpec device(int device) {
    return Placement.one(devices.get(device));
  }

  /**
   * What a session of one process must be made with to have the CPU devices of the mesh; TensorFlow
   * has one otherwise. Other settings are merged with it: {@code
   * SessionConfig.forTraining().toBuilder().mergeFrom(mesh.config()).build()}.
   */
  public ConfigProto config() {
    int cpus =
        IntStream.range(0, size())
            .mapToObj(this::device)
            .filter(Mesh::isOwnCpu)
            .mapToInt(spec -> spec.deviceIndex() + 1)
            .max()
            .orElse(1);
    return ConfigProto.newBuilder().putDeviceCount("CPU", cpus).build();
  }

  /** The dimensions, as {@link #parse} reads them. */
  @Override
  public String toString() {
    return text(dimensions);
  }

  /** The dimensions and the devices, for messages. */
  public String describe() {
    return "%s of %s".formatted(this, devices);
  }

  private static String text(List<Dimension> dimensions) {
    return dimensions.stream().map(Dimension::toString).collect(Collectors.joining(","));
  }
}
