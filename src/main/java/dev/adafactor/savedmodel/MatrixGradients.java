package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.GradientGraph.truth;

import dev.adafactor.savedmodel.GradientRules.Rule;
import dev.adafactor.savedmodel.GradientRules.Step;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.tensorflow.Output;
import org.tensorflow.proto.AttrValue;

/** Gradients of decompositions, inverses and diagonals of matrices, and of sparse ones. */
final class MatrixGradients {
  /** The gradients, by the operations' types. */
  static final Map<String, Rule> RULES =
      Map.ofEntries(
          Map.entry("Cholesky", MatrixGradients::cholesky),
          Map.entry("MatrixInverse", MatrixGradients::inverse),
          Map.entry("MatrixDeterminant", MatrixGradients::determinant),
          Map.entry("LogMatrixDeterminant", MatrixGradients::logDeterminant),
          Map.entry("MatrixSolve", MatrixGradients::solve),
          Map.entry("MatrixTriangularSolve", MatrixGradients::triangularSolve),
          Map.entry("MatrixDiagPartV3", MatrixGradients::diagonal),
          Map.entry("MatrixSetDiagV3", MatrixGradients::withDiagonal),
          Map.entry("SparseTensorDenseMatMul", MatrixGradients::sparseProduct),
          Map.entry("SparseToDense", MatrixGradients::sparseToDense));

  private MatrixGradients() {}

  private static List<Output<?>> list(Output<?>... gradients) {
    return Arrays.asList(gradients);
  }

  private static Output<?> product(
      Step s, Output<?> a, Output<?> b, boolean adjointA, boolean adjointB) {
    return s.op("BatchMatMulV2", Map.of("adj_x", truth(adjointA), "adj_y", truth(adjointB)), a, b);
  }

  private static Output<?> band(Step s, Output<?> matrix, int lower, int upper) {
    return s.op("MatrixBandPart", matrix, s.integer(lower), s.integer(upper));
  }

  /** A number for each matrix, so that it is multiplied with all the matrix's elements. */
  private static Output<?> forEachElement(Step s, Output<?> numbers) {
    return s.op("ExpandDims", s.op("ExpandDims", numbers, s.integer(-1)), s.integer(-1));
  }

  private static boolean is(Step s, String attribute) {
    return s.node().getAttrOrDefault(attribute, AttrValue.getDefaultInstance()).getB();
  }

  private static List<Output<?>> cholesky(Step s) {
    Output<?> l = s.y(0);
    Output<?> ones = s.op("OnesLike", s.op("MatrixDiagPartV3", l, s.integer(0), s.real(0)));
    Output<?> identity =
        s.op("MatrixDiagV3", ones, s.integer(0), s.integer(-1), s.integer(-1), s.real(0));
    Output<?> inverse = s.op("MatrixTriangularSolve", l, identity);
    Output<?> middle = product(s, l, s.d(), true, false);
    Output<?> lower =
        s.op("Sub", band(s, middle, -1, 0), s.op("Mul", s.real(0.5), band(s, middle, 0, 0)));
    Output<?> gradient = product(s, product(s, inverse, lower, true, false), inverse, false, false);
    Output<?> adjoint = product(s, gradient, identity, true, false);
    return list(s.op("Mul", s.real(0.5), s.op("AddV2", gradient, adjoint)));
  }

  private static List<Output<?>> inverse(Step s) {
    boolean adjoint = is(s, "adjoint");
    Output<?> inverse = s.y(0);
    // With the adjoint inverted, so is the gradient.
    Output<?> gradient =
        adjoint
            ? product(s, inverse, product(s, s.d(), inverse, true, false), false, false)
            : product(s, inverse, product(s, s.d(), inverse, false, true), true, false);
    return list(s.op("Neg", gradient));
  }

  private static List<Output<?>> determinant(Step s) {
    Output<?> inverse = s.op("MatrixInverse", Map.of("adjoint", truth(true)), s.x(0));
    return list(s.op("Mul", forEachElement(s, s.op("Mul", s.d(), s.y(0))), inverse));
  }

  private static List<Output<?>> logDeterminant(Step s) {
    Output<?> inverse = s.op("MatrixInverse", Map.of("adjoint", truth(true)), s.x(0));
    return list(s.op("Mul", forEachElement(s, s.dy().get(1)), inverse));
  }

  private static List<Output<?>> solve(Step s) {
    boolean adjoint = is(s, "adjoint");
    Output<?> b = s.op("MatrixSolve", Map.of("adjoint", truth(!adjoint)), s.x(0), s.d());
    return list(s.op("Neg", solved(s, b, adjoint)), b);
  }

  private static Output<?> solved(Step s, Output<?> gradient, boolean adjoint) {
    return adjoint
        ? product(s, s.y(0), gradient, false, true)
        : product(s, gradient, s.y(0), false, true);
  }

  private static List<Output<?>> triangularSolve(Step s) {
    boolean adjoint = is(s, "adjoint");
    AttrValue isLower = s.node().getAttrOrDefault("lower", truth(true));
    Output<?> b =
        s.op(
            "MatrixTriangularSolve",
            Map.of("lower", isLower, "adjoint", truth(!adjoint)),
            s.x(0),
            s.d());
    Output<?> a = s.op("Neg", solved(s, b, adjoint));
    Output<?> triangle = isLower.getB() ? band(s, a, -1, 0) : band(s, a, 0, -1);
    return list(sumBatches(s, triangle, 0), sumBatches(s, b, 1));
  }

  /** Sums what broadcasting of all but the last two dimensions repeated. */
  private static Output<?> sumBatches(Step s, Output<?> gradient, int input) {
    var axes = s.graph().operation("BroadcastGradientArgs", Map.of(), batches(s, 0), batches(s, 1));
    return s.op("Reshape", s.op("Sum", gradient, axes.output(input)), s.shape(s.x(input)));
  }

  private static Output<?> batches(Step s, int input) {
    Output<?> shape = s.shape(s.x(input));
    Output<?> size = s.op("Sub", s.op("Shape", shape), s.integers(2));
    return s.op("Slice", shape, s.integers(0), size);
  }

  private static List<Output<?>> diagonal(Step s) {
    return list(ofDiagonal(s, s.d(), s.x(1)), null, null);
  }

  private static List<Output<?>> withDiagonal(Step s) {
    Output<?> diagonal = s.op("MatrixDiagPartV3", s.like("align"), s.d(), s.x(2), s.real(0));
    return list(s.op("Sub", s.d(), ofDiagonal(s, diagonal, s.x(2))), diagonal, null);
  }

  /** Matrices of the first input's size. MatrixSetDiagV3 does not take k from an argument. */
  private static Output<?> ofDiagonal(Step s, Output<?> diagonal, Output<?> k) {
    return s.op(
        "MatrixDiagV3", s.like("align"), diagonal, k, fromEnd(s, 2), fromEnd(s, 1), s.real(0));
  }

  /** The size of a dimension of the first input, counted from the last, which is 1. */
  private static Output<?> fromEnd(Step s, int dimension) {
    Output<?> place = s.op("Sub", s.op("Rank", s.x(0)), s.integer(dimension));
    return s.op("GatherV2", s.shape(s.x(0)), place, s.integer(0));
  }

  private static List<Output<?>> sparseProduct(Step s) {
    boolean adjointA = is(s, "adjoint_a");
    boolean adjointB = is(s, "adjoint_b");
    Output<?> product =
        s.op(
            "SparseTensorDenseMatMul",
            Map.of("adjoint_a", truth(!adjointA)),
            s.x(0),
            s.x(1),
            s.x(2),
            s.d());
    Output<?> rows = s.op("GatherV2", s.x(0), s.integer(0), s.integer(1));
    Output<?> columns = s.op("GatherV2", s.x(0), s.integer(1), s.integer(1));
    Output<?> b = adjointB ? transposed(s, s.x(3)) : s.x(3);
    Output<?> left = s.op("GatherV2", s.d(), adjointA ? columns : rows, s.integer(0));
    Output<?> right = s.op("GatherV2", b, adjointA ? rows : columns, s.integer(0));
    return list(
        null,
        s.op("Sum", s.op("Mul", left, right), s.integer(-1)),
        null,
        adjointB ? transposed(s, product) : product);
  }

  private static Output<?> transposed(Step s, Output<?> matrix) {
    return s.op("Transpose", matrix, s.integers(1, 0));
  }

  private static List<Output<?>> sparseToDense(Step s) {
    Output<?> values = s.op("GatherNd", s.d(), s.x(0));
    Output<?> all = s.op("Sum", s.op("Reshape", s.d(), s.integers(-1)), s.integer(0));
    Output<?> given = s.op("Sum", s.op("Reshape", values, s.integers(-1)), s.integer(0));
    return list(null, null, s.op("Reshape", values, s.shape(s.x(2))), s.op("Sub", all, given));
  }
}
