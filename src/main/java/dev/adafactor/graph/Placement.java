package dev.adafactor.graph;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tensorflow.DeviceSpec;

/**
 * Scopes for operations that work on one variable: on the device that was asked for when the
 * variable was added to the graph. Without such a device TensorFlow chooses, for the variable as
 * for the operations.
 */
public final class Placement {

  private static final Pattern DEVICE =
      Pattern.compile(
          "(?:/job:([^/]+))?(?:/replica:(\\d{1,9}))?(?:/task:(\\d{1,9}))?"
              + "(?:/(?:device:)?(CPU|GPU|TPU)(?::(\\d{1,9}|\\*))?)?",
          Pattern.CASE_INSENSITIVE);

  /** In canonical names. */
  private static final Pattern IMPLIED =
      Pattern.compile("^/job:localhost(/replica:0)?(/task:0)?(?=/device)|/replica:0(?=/|$)");

  private final Constants anywhere;
  private final Map<String, Constants> byDevice = new HashMap<>();

  /**
   * @param anywhere of the scope for operations that belong to no variable
   */
  public Placement(Constants anywhere) {
    this.anywhere = anywhere;
  }

  /** The constants of the scope for operations that belong to no variable. */
  public Constants anywhere() {
    return anywhere;
  }

  /** The constants of the same scope on a variable's device. */
  public Constants beside(VariableView<?> variable) {
    return on(variable.op().device());
  }

  /**
   * The constants of the same scope on a device.
   *
   * @param device as operations name it; of no name, where TensorFlow chooses
   */
  public Constants on(String device) {
    return byDevice.computeIfAbsent(
        device,
        name ->
            parse(name)
                .map(spec -> new Constants(anywhere.ops().withDevice(spec)))
                .orElse(anywhere));
  }

  /**
   * A device as operations name it, such as {@code /job:worker/task:1/device:GPU:0} or {@code
   * /cpu:0}; empty if none is named, or one that a {@link DeviceSpec} cannot name.
   */
  public static Optional<DeviceSpec> parse(String device) {
    Matcher parts = DEVICE.matcher(device);
    if (device.isEmpty() || !parts.matches()) {
      return Optional.empty();
    }
    DeviceSpec.Builder spec = DeviceSpec.newBuilder().job(parts.group(1));
    number(parts.group(2)).ifPresent(spec::replica);
    number(parts.group(3)).ifPresent(spec::task);
    if (parts.group(4) != null) {
      String type = parts.group(4).toUpperCase(Locale.ROOT);
      spec.deviceType(DeviceSpec.DeviceType.valueOf(type));
      number(parts.group(5)).ifPresent(spec::deviceIndex);
    }
    return Optional.of(spec.build());
  }

  /**
   * A device as operations name it, and not a kind of devices or a machine: the main device of a
   * task counts as one. What goes without saying is left out, so that a device has one name: its
   * replica 0, and that it is of this process.
   *
   * @throws IllegalArgumentException if the text does not name one device
   */
  public static DeviceSpec one(String device) {
    return ifOne(device)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    ("'%s' does not name one device: give such as /device:CPU:0,"
                            + " /job:worker/task:1/device:GPU:0 or /job:worker/task:1")
                        .formatted(device)));
  }

  /** The same; empty if the text does not name one device. */
  public static Optional<DeviceSpec> ifOne(String device) {
    return parse(Objects.requireNonNull(device, "device"))
        .flatMap(spec -> parse(IMPLIED.matcher(spec.toString()).replaceAll("")))
        .filter(spec -> (spec.job() == null) == (spec.task() == null))
        .filter(
            spec -> spec.deviceType() == null ? spec.job() != null : spec.deviceIndex() != null);
  }

  /**
   * Where a device's process has what is for CPUs alone: the device itself, unless it is none.
   *
   * @param device as operations name it; of no name, where TensorFlow chooses
   */
  public static String host(String device) {
    return parse(device)
        .filter(spec -> spec.deviceType() != null && spec.deviceType() != DeviceSpec.DeviceType.CPU)
        .map(
            spec ->
                DeviceSpec.newBuilder()
                    .job(spec.job())
                    .replica(spec.replica())
                    .task(spec.task())
                    .deviceType(DeviceSpec.DeviceType.CPU)
                    .deviceIndex(0)
                    .build()
                    .toString())
        .orElse(device);
  }

  private static Optional<Integer> number(String digits) {
    return digits == null || digits.equals("*")
        ? Optional.empty()
        : Optional.of(Integer.valueOf(digits));
  }
}
