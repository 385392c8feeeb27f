package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.PythonRegex;
import dev.adafactor.graph.VariableView;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * tf_keras's weight decay, {@code w -= w * weight_decay * learning_rate}, and the variables that
 * are exempt from it.
 *
 * @param excluded the keys of variables
 * @param names regular expressions, searched for in {@code name:0} as Python's {@code re.search}
 */
record WeightDecay(double rate, Set<String> excluded, List<Pattern> names) {

  /**
   * @throws IllegalArgumentException if the text is no regular expression
   */
  static Pattern compile(String regex) {
    return PythonRegex.compile("excludeFromWeightDecay", regex);
  }

  boolean applies(LogicalVariable variable) {
    return !excluded.contains(variable.key())
        && names.stream().noneMatch(name -> name.matcher(variable.name() + ":0").find());
  }

  /**
   * Adds the decay of a variable.
   *
   * @param gated where writes to variables go
   * @param learningRate the rate as it is, not the relative step
   */
  <T extends TNumber> Op apply(
      Constants constants,
      Ops gated,
      VariableView<T> variable,
      Operand<? extends TNumber> learningRate) {
    Ops ops = constants.ops();
    Operand<T> lr = ops.dtypes.cast(learningRate, variable.type());
    Operand<T> wd = constants.number(variable.type(), (float) rate);
    return variable.assignSub(gated, ops.math.mul(ops.math.mul(variable.read(ops), wd), lr));
  }
}
