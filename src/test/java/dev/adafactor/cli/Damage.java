package dev.adafactor.cli;

import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.tensorflow.proto.SavedModel;

/** Damages a SavedModel's folder at random: its bytes, or what they mean. */
final class Damage {
  private static final List<Long> NUMBERS =
      List.of(
          -1L,
          0L,
          1L,
          -2L,
          3L,
          100L,
          65_536L,
          1L << 31,
          (1L << 31) - 1,
          1L << 40,
          Long.MAX_VALUE,
          Long.MIN_VALUE);
  private static final List<String> TEXTS =
      List.of(
          "",
          "no_such_thing",
          "/",
          "a b",
          "^",
          ":",
          "x:-1",
          "x:99999999999",
          "/job:nowhere/task:7/device:TPU:99",
          "../../up",
          "\u00e4\n\u0000");

  private final Random random;

  Damage(long seed) {
    this.random = new Random(seed);
  }

  /** Damages a folder in place, and says how. */
  String apply(Path folder) throws IOException {
    return switch (random.nextInt(10)) {
      case 0 -> truncate(anyFile(folder));
      case 1, 2 -> flip(anyFile(folder));
      case 3 -> remove(anyFile(folder));
      default -> change(folder.resolve("saved_model.pb"));
    };
  }

  private Path anyFile(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return any(files.filter(Files::isRegularFile).sorted().toList());
    }
  }

  private String truncate(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int length = random.nextInt(bytes.length);
    Files.write(file, Arrays.copyOf(bytes, length));
    return file.getFileName() + " cut to " + length + " bytes";
  }

  private String flip(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    List<Integer> places = new ArrayList<>();
    for (int i = 0; i <= random.nextInt(8); i++) {
      int place = random.nextInt(bytes.length);
      bytes[place] ^= (byte) (1 << random.nextInt(8));
      places.add(place);
    }
    Files.write(file, bytes);
    return file.getFileName() + " with bits changed at " + places;
  }

  private static String remove(Path file) throws IOException {
    Files.delete(file);
    return file.getFileName() + " removed";
  }

  /** Changes some fields of the model's description, so that it still can be parsed. */
  private String change(Path file) throws IOException {
    Message.Builder model = SavedModel.parseFrom(Files.readAllBytes(file)).toBuilder();
    List<String> changes = new ArrayList<>();
    for (int i = 0; i <= random.nextInt(3); i++) {
      StringBuilder path = new StringBuilder();
      change(model, path);
      changes.add(path.toString());
    }
    Files.write(file, model.build().toByteArray());
    return file.getFileName() + " with " + changes;
  }

  /** Goes down at random to a field, and changes it. */
  private void change(Message.Builder message, StringBuilder path) {
    List<FieldDescriptor> fields = new ArrayList<>(message.getAllFields().keySet());
    if (fields.isEmpty() || random.nextInt(25) == 0) {
      fields = message.getDescriptorForType().getFields();
      if (fields.isEmpty()) {
        return;
      }
      FieldDescriptor field = any(fields);
      path.append(field.getName()).append(" set ");
      set(message, field, path);
      return;
    }
    FieldDescriptor field = byWeight(message, fields);
    path.append(field.getName());
    if (field.getJavaType() != FieldDescriptor.JavaType.MESSAGE) {
      path.append(' ');
      set(message, field, path);
    } else if (!field.isRepeated()) {
      if (random.nextInt(30) == 0) {
        path.append(" removed");
        message.clearField(field);
        return;
      }
      path.append('.');
      Message.Builder inner = ((Message) message.getField(field)).toBuilder();
      change(inner, path);
      message.setField(field, inner.build());
    } else {
      changeElement(message, field, path);
    }
  }

  /** The larger, the likelier: else most changes would be near the root. */
  private FieldDescriptor byWeight(Message.Builder message, List<FieldDescriptor> fields) {
    double[] sums = new double[fields.size()];
    double sum = 0;
    for (int i = 0; i < sums.length; i++) {
      sum += Math.sqrt(size(message.getField(fields.get(i))));
      sums[i] = sum;
    }
    double place = random.nextDouble() * sum;
    int i = 0;
    while (sums[i] < place) {
      i++;
    }
    return fields.get(i);
  }

  private static double size(Object value) {
    if (value instanceof List<?> elements) {
      return elements.stream().mapToDouble(Damage::size).sum();
    }
    return value instanceof Message message ? 1 + message.getSerializedSize() : 8;
  }

  private void changeElement(Message.Builder message, FieldDescriptor field, StringBuilder path) {
    int count = message.getRepeatedFieldCount(field);
    int index = random.nextInt(count);
    path.append('[').append(index).append(']');
    List<Object> elements = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      elements.add(message.getRepeatedField(field, i));
    }
    switch (random.nextInt(20)) {
      case 0 -> {
        path.append(" removed");
        elements.remove(index);
      }
      case 1 -> {
        path.append(" repeated");
        elements.add(elements.get(random.nextInt(count)));
      }
      case 2 -> {
        int other = random.nextInt(count);
        path.append(" copied to ").append(other);
        elements.set(other, elements.get(index));
      }
      default -> {
        path.append('.');
        Message.Builder inner = ((Message) elements.get(index)).toBuilder();
        change(inner, path);
        elements.set(index, inner.build());
      }
    }
    message.clearField(field);
    elements.forEach(element -> message.addRepeatedField(field, element));
  }

  private void set(Message.Builder message, FieldDescriptor field, StringBuilder path) {
    if (field.isMapField() || field.getJavaType() == FieldDescriptor.JavaType.MESSAGE) {
      message.clearField(field);
      path.append("cleared");
      return;
    }
    if (!field.isRepeated()) {
      Object value = value(field, message.getField(field));
      message.setField(field, value);
      path.append("= ").append(value);
      return;
    }
    int count = message.getRepeatedFieldCount(field);
    if (count == 0 || random.nextInt(3) == 0) {
      Object value = value(field, zero(field));
      message.addRepeatedField(field, value);
      path.append("+ ").append(value);
    } else {
      int index = random.nextInt(count);
      Object value = value(field, message.getRepeatedField(field, index));
      message.setRepeatedField(field, index, value);
      path.append('[').append(index).append("] = ").append(value);
    }
  }

  private static Object zero(FieldDescriptor field) {
    return Map.<FieldDescriptor.JavaType, Object>of(
            FieldDescriptor.JavaType.STRING,
            "",
            FieldDescriptor.JavaType.BYTE_STRING,
            ByteString.EMPTY)
        .getOrDefault(field.getJavaType(), 0);
  }

  private Object value(FieldDescriptor field, Object old) {
    return switch (field.getJavaType()) {
      case INT -> any(NUMBERS).intValue();
      case LONG -> any(NUMBERS);
      case FLOAT -> any(List.of(0f, Float.NaN, -1f, Float.MAX_VALUE));
      case DOUBLE -> any(List.of(0.0, Double.NaN, -1.0));
      case BOOLEAN -> random.nextBoolean();
      case STRING -> random.nextInt(4) == 0 ? old + "x" : any(TEXTS);
      case BYTE_STRING -> bytes((ByteString) old);
      case ENUM -> any(field.getEnumType().getValues().toArray(EnumValueDescriptor[]::new));
      case MESSAGE -> throw new IllegalArgumentException(field.getFullName());
    };
  }

  private ByteString bytes(ByteString old) {
    if (old.isEmpty() || random.nextBoolean()) {
      return ByteString.copyFrom(any(TEXTS), StandardCharsets.UTF_8);
    }
    return random.nextBoolean() ? old.substring(0, random.nextInt(old.size())) : old.concat(old);
  }

  private <T> T any(List<T> choices) {
    return choices.get(random.nextInt(choices.size()));
  }

  @SafeVarargs
  private <T> T any(T... choices) {
    return choices[random.nextInt(choices.length)];
  }
}
