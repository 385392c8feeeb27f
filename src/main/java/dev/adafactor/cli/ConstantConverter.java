package dev.adafactor.cli;

import dev.adafactor.Numerics;
import dev.adafactor.bench.Curve;
import dev.adafactor.finetune.EarlyStopping.Monitor;
import dev.adafactor.finetune.VariableDetail;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.parity.ElementType;
import dev.adafactor.parity.VariableKind;
import dev.adafactor.savedmodel.Mode;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a constant by its name in small letters, with {@code -} or {@code _}. */
abstract sealed class ConstantConverter<E extends Enum<E>> implements ITypeConverter<E> {
  private final Class<E> type;

  private ConstantConverter(Class<E> type) {
    this.type = type;
  }

  static String label(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public E convert(String value) {
    String wanted = value.toLowerCase(Locale.ROOT).replace('-', '_');
    return Arrays.stream(type.getEnumConstants())
        .filter(constant -> label(constant).equals(wanted))
        .findFirst()
        .orElseThrow(
            () -> new TypeConversionException("'%s' is none of %s".formatted(value, known())));
  }

  private String known() {
    return Arrays.stream(type.getEnumConstants())
        .map(ConstantConverter::label)
        .collect(Collectors.joining(", "));
  }

  static final class OfNumerics extends ConstantConverter<Numerics> {
    OfNumerics() {
      super(Numerics.class);
    }
  }

  static final class OfMode extends ConstantConverter<Mode> {
    OfMode() {
      super(Mode.class);
    }
  }

  static final class OfMonitor extends ConstantConverter<Monitor> {
    OfMonitor() {
      super(Monitor.class);
    }
  }

  static final class OfElementType extends ConstantConverter<ElementType> {
    OfElementType() {
      super(ElementType.class);
    }
  }

  static final class OfCurve extends ConstantConverter<Curve> {
    OfCurve() {
      super(Curve.class);
    }
  }

  static final class OfDetail extends ConstantConverter<VariableDetail> {
    OfDetail() {
      super(VariableDetail.class);
    }
  }

  static final class OfReductions extends ConstantConverter<Reductions> {
    OfReductions() {
      super(Reductions.class);
    }
  }

  static final class OfVariableKind extends ConstantConverter<VariableKind> {
    OfVariableKind() {
      super(VariableKind.class);
    }
  }
}
