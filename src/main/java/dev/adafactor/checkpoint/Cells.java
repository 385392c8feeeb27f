package dev.adafactor.checkpoint;

import dev.adafactor.Adafactor;
import dev.adafactor.checkpoint.Quantity.Counter;
import dev.adafactor.checkpoint.Quantity.OfModel;
import dev.adafactor.checkpoint.Quantity.OfOptimizer;
import dev.adafactor.checkpoint.Quantity.Part;
import dev.adafactor.graph.VariableView;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/** Finds where the quantities of a checkpoint are in a session's graph. */
final class Cells {
  private final Ops tf;
  private final Adafactor adafactor;
  private final Map<Integer, StateVariable> variables;
  private final List<StateVariable> trained;
  private final Operand<TInt64> saves;

  /**
   * The places of a job's state.
   *
   * @param variables the model's, by the index of their object
   * @param trained the variables that the optimizer trains, in the order of the layout
   * @param saves how many checkpoints were written
   */
  Cells(
      Ops tf,
      Adafactor adafactor,
      Map<Integer, StateVariable> variables,
      List<StateVariable> trained,
      Operand<TInt64> saves) {
    this.tf = tf;
    this.adafactor = adafactor;
    this.variables = variables;
    this.trained = trained;
    this.saves = saves;
  }

  /** Where a quantity is. */
  Cell cell(Quantity quantity) {
    if (quantity instanceof OfModel model) {
      return variables.get(model.object()).cell(tf);
    }
    if (quantity instanceof OfOptimizer state) {
      return cell(state.part(), trained.get(state.variable()));
    }
    return switch ((Counter) quantity) {
      case ITERATIONS -> Cell.reference(tf, adafactor.iterations().asOutput(), DataType.DT_INT64);
      case LEARNING_RATE ->
          Cell.reference(tf, adafactor.learningRate().asOutput(), DataType.DT_FLOAT);
      case SAVES -> Cell.writtenOnly(saves.asOutput(), Shape.scalar());
    };
  }

  private Cell cell(Part part, StateVariable variable) {
    if (part == Part.UNUSED) {
      return Cell.writtenOnly(tf.constant(0).asOutput(), Shape.scalar());
    }
    return slot(part, variable)
        .map(slot -> cell(slot, part, variable, variable.dtype()))
        .orElseGet(
            () ->
                Cell.writtenOnly(
                    adafactor.secondMoment(variable.operand()).asOutput(), variable.shape()));
  }

  private Cell cell(
      Operand<? extends TNumber> slot, Part part, StateVariable variable, DataType written) {
    return Cell.slot(
        tf,
        slot,
        written,
        (there, value) -> adafactor.assignSlot(variable.operand(), name(part), number(value)));
  }

  private Optional<Operand<? extends TNumber>> slot(Part part, StateVariable variable) {
    return adafactor.readSlot(variable.operand(), name(part));
  }

  private static String name(Part part) {
    return part.name().toLowerCase(Locale.ROOT);
  }

  @SuppressWarnings("unchecked") // Slots are numbers.
  private static Operand<? extends TNumber> number(Output<?> value) {
    return (Output<? extends TNumber>) value;
  }

  /** The quantity with all its digits, where its variable's type does not hold them. */
  Optional<Cell> exact(Quantity quantity) {
    if (quantity instanceof OfOptimizer state && state.part() != Part.UNUSED) {
      StateVariable variable = trained.get(state.variable());
      return slot(state.part(), variable)
          .flatMap(
              slot -> {
                DataType own = VariableView.dataType(slot.type());
                return own == variable.dtype()
                    ? Optional.empty()
                    : Optional.of(cell(slot, state.part(), variable, own));
              });
    }
    return Optional.empty();
  }

  /** Sets a variable's moving average to the variable, as at the start. */
  Op startAverage(Ops afterwards, int variable) {
    return cell(new OfOptimizer(Part.AVERAGE, variable))
        .assign(afterwards, trained.get(variable).copy(afterwards));
  }
}
