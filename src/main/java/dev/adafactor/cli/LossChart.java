package dev.adafactor.cli;

import dev.adafactor.files.OutputPath;
import dev.adafactor.finetune.Evaluation;
import dev.adafactor.finetune.TrainingListener.Epoch;
import dev.adafactor.finetune.TrainingListener.Step;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.Styler.ChartTheme;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.Styler.YAxisPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** A picture of loss and accuracy over the steps of a training job. */
final class LossChart {
  /** More points than this cannot be told apart: neighbours are shown as their mean. */
  private static final int MAX_POINTS = 400;

  private static final int ACCURACY_AXIS = 1;

  private LossChart() {}

  /**
   * Writes a PNG picture of 1000 x 500 pixels.
   *
   * @param steps one or more; the picture shows nothing from before the first
   * @param epochs with the results on the validation data, if there are any
   */
  static void write(List<Step> steps, List<Epoch> epochs, OutputPath file) throws IOException {
    XYChart chart =
        new XYChartBuilder()
            .width(1000)
            .height(500)
            .title("Fine-tuning with Adafactor")
            .xAxisTitle("step")
            .yAxisTitle("loss of the batch")
            .theme(ChartTheme.Matlab)
            .build();
    chart.getStyler().setLegendPosition(LegendPosition.OutsideS);
    chart.getStyler().setYAxisMin(0, 0.0);
    chart.getStyler().setDefaultSeriesRenderStyle(XYSeriesRenderStyle.Line);
    double[] numbers = means(steps, Step::number);
    chart
        .addSeries("loss", numbers, means(steps, Step::loss))
        .setMarker(SeriesMarkers.NONE)
        .setYAxisGroup(0);
    if (steps.stream().allMatch(step -> step.accuracy().isPresent())) {
      chart
          .addSeries("accuracy", numbers, means(steps, step -> step.accuracy().getAsDouble()))
          .setMarker(SeriesMarkers.NONE)
          .setYAxisGroup(ACCURACY_AXIS);
      chart.setYAxisGroupTitle(ACCURACY_AXIS, "accuracy of the batch");
      chart.getStyler().setYAxisGroupPosition(ACCURACY_AXIS, YAxisPosition.Right);
      chart.getStyler().setYAxisMin(ACCURACY_AXIS, 0.0);
      chart.getStyler().setYAxisMax(ACCURACY_AXIS, 1.0);
    }
    addValidation(chart, steps, epochs);
    WholeFile.write(file, out -> BitmapEncoder.saveBitmap(chart, out, BitmapFormat.PNG));
  }

  private static void addValidation(XYChart chart, List<Step> steps, List<Epoch> epochs) {
    Map<Integer, Long> lastSteps =
        steps.stream().collect(Collectors.toMap(Step::epoch, Step::number, Math::max));
    List<Epoch> shown =
        epochs.stream()
            .filter(epoch -> epoch.validation().isPresent())
            .filter(epoch -> lastSteps.containsKey(epoch.number()))
            .toList();
    if (shown.isEmpty()) {
      return;
    }
    double[] ends = shown.stream().mapToDouble(epoch -> lastSteps.get(epoch.number())).toArray();
    List<Evaluation> evaluations =
        shown.stream().map(Epoch::validation).flatMap(Optional::stream).toList();
    chart
        .addSeries(
            "validation loss", ends, evaluations.stream().mapToDouble(Evaluation::loss).toArray())
        .setYAxisGroup(0);
    if (evaluations.get(0).accuracy().isPresent()) {
      chart
          .addSeries(
              "validation accuracy",
              ends,
              evaluations.stream().mapToDouble(each -> each.accuracy().orElseThrow()).toArray())
          .setYAxisGroup(ACCURACY_AXIS);
    }
  }

  private static double[] means(List<Step> steps, ToDoubleFunction<Step> value) {
    int run = (steps.size() - 1) / MAX_POINTS + 1;
    List<Double> means = new ArrayList<>();
    for (int start = 0; start < steps.size(); start += run) {
      List<Step> neighbours = steps.subList(start, Math.min(steps.size(), start + run));
      means.add(neighbours.stream().mapToDouble(value).average().orElseThrow());
    }
    return means.stream().mapToDouble(Double::doubleValue).toArray();
  }
}
