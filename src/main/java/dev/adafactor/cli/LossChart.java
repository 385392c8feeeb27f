package dev.adafactor.cli;

import dev.adafactor.files.OutputPath;
import dev.adafactor.finetune.Evaluation;
import dev.adafactor.finetune.TrainingListener.Epoch;
import dev.adafactor.finetune.TrainingListener.Step;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;

/** A picture of loss, accuracy and learning rate over the steps of a training job. */
final class LossChart {
  private static final int WIDTH = 1000;
  private static final int LOSS_HEIGHT = 400;
  private static final int OTHER_HEIGHT = 220;

  /** From here on a curve of all steps is a thicket, and a smooth one is drawn over it. */
  private static final int MANY_STEPS = 60;

  /** More points than this cannot be told apart: neighbours are shown as their mean. */
  private static final int MAX_POINTS = 500;

  /** The smooth curve is a mean over as many steps as are this part of all. */
  private static final int SMOOTHED_PARTS = 30;

  /** How many times the least smoothed loss the largest is where the scale is logarithmic. */
  private static final double WIDE_RANGE = 100;

  private static final Color LOSS = new Color(0x1F77B4);
  private static final Color ACCURACY = new Color(0x2CA02C);
  private static final Color VALIDATION = new Color(0xD95F02);
  private static final Color RATE = new Color(0x606060);

  private final List<Step> steps;
  private final List<Epoch> validated;
  private final Map<Integer, Long> lastSteps;

  private LossChart(List<Step> steps, List<Epoch> epochs) {
    this.steps = steps;
    this.lastSteps = steps.stream().collect(Collectors.toMap(Step::epoch, Step::number, Math::max));
    this.validated =
        epochs.stream()
            .filter(epoch -> epoch.validation().isPresent())
            .filter(epoch -> lastSteps.containsKey(epoch.number()))
            .toList();
  }

  /**
   * Writes a PNG picture, 1000 pixels wide: one panel for the loss, on a logarithmic scale where it
   * goes far down; one for the accuracy, if there is any; one for the learning rate, if it changes.
   *
   * @param steps one or more; the picture shows nothing from before the first
   * @param epochs with the results on the validation data, if there are any
   */
  static void write(List<Step> steps, List<Epoch> epochs, OutputPath file) throws IOException {
    BufferedImage picture = stacked(new LossChart(steps, epochs).panels());
    // Into memory first: the encoder would hide why the file cannot be written.
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    ImageIO.write(picture, "png", png);
    WholeFile.write(file, png::writeTo);
  }

  private static BufferedImage stacked(List<XYChart> panels) {
    int height = panels.stream().mapToInt(XYChart::getHeight).sum();
    BufferedImage picture = new BufferedImage(WIDTH, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = picture.createGraphics();
    int y = 0;
    for (XYChart panel : panels) {
      panel.getStyler().setXAxisTitleVisible(panel == panels.get(panels.size() - 1));
      graphics.drawImage(BitmapEncoder.getBufferedImage(panel), 0, y, null);
      y += panel.getHeight();
    }
    graphics.dispose();
    return picture;
  }

  private List<XYChart> panels() {
    double[] rates = steps.stream().mapToDouble(Step::learningRate).distinct().toArray();
    boolean isConstant = rates.length == 1;
    List<XYChart> panels = new ArrayList<>();
    panels.add(
        loss(
            "Fine-tuning with Adafactor"
                + (isConstant ? ", learning rate %.3g".formatted(rates[0]) : "")));
    if (steps.stream().allMatch(step -> step.accuracy().isPresent())) {
      panels.add(accuracy());
    }
    if (!isConstant) {
      panels.add(
          panel("learning rate", OTHER_HEIGHT)
              .line("learning rate", RATE, points(MAX_POINTS, Step::learningRate))
              .chart());
    }
    return panels;
  }

  private ChartPanel panel(String title, int height) {
    long first = steps.get(0).number();
    long last = steps.get(steps.size() - 1).number();
    return new ChartPanel(title, WIDTH, height, first, last);
  }

  private XYChart loss(String title) {
    ChartPanel panel = panel("loss", LOSS_HEIGHT).title(title);
    measured(panel, LOSS, Step::loss, each -> OptionalDouble.of(each.loss()));
    double least = steps.stream().mapToDouble(Step::loss).filter(Double::isFinite).min().orElse(0);
    double[] course = smoothed(Step::loss).stream().mapToDouble(ChartPanel.Point::value).toArray();
    double lowest = Arrays.stream(course).filter(Double::isFinite).min().orElse(0);
    double highest = Arrays.stream(course).filter(Double::isFinite).max().orElse(0);
    if (least > 0 && highest > WIDE_RANGE * lowest) {
      panel.logarithmic();
    } else if (least >= 0) {
      panel.from(0);
    }
    if (lowest == highest) {
      panel.to(highest + Math.max(1, Math.abs(highest))); // A scale needs more than one number.
    }
    return panel.chart();
  }

  private XYChart accuracy() {
    ChartPanel panel = panel("accuracy", OTHER_HEIGHT);
    measured(panel, ACCURACY, step -> step.accuracy().orElseThrow(), Evaluation::accuracy);
    return panel.from(0).to(1).chart();
  }

  /** Draws what is measured of the batches, and of the validation data. */
  private void measured(
      ChartPanel panel,
      Color color,
      ToDoubleFunction<Step> ofStep,
      Function<Evaluation, OptionalDouble> ofEvaluation) {
    if (steps.size() < MANY_STEPS) {
      panel.dots("batch", color, points(MAX_POINTS, ofStep));
    } else {
      panel.faint("batch", color, points(MAX_POINTS, ofStep));
      panel.line("batch, smoothed", color, smoothed(ofStep));
    }
    List<ChartPanel.Point> points = new ArrayList<>();
    for (Epoch epoch : validated) {
      Optional<Evaluation> evaluation = epoch.validation();
      evaluation
          .map(ofEvaluation)
          .filter(OptionalDouble::isPresent)
          .ifPresent(
              value ->
                  points.add(
                      new ChartPanel.Point(lastSteps.get(epoch.number()), value.getAsDouble())));
    }
    if (!points.isEmpty()) {
      panel.dots("validation", VALIDATION, points);
    }
  }

  /** The steps, in runs of neighbours where there are too many. */
  private List<ChartPanel.Point> points(int most, ToDoubleFunction<Step> value) {
    int run = (steps.size() - 1) / most + 1;
    List<ChartPanel.Point> points = new ArrayList<>();
    for (int start = 0; start < steps.size(); start += run) {
      points.add(mean(start, Math.min(steps.size(), start + run), value));
    }
    return points;
  }

  /** Means over the steps around each; at both ends over those that there are. */
  private List<ChartPanel.Point> smoothed(ToDoubleFunction<Step> value) {
    int half = steps.size() / SMOOTHED_PARTS / 2;
    int apart = (steps.size() - 1) / MAX_POINTS + 1;
    List<ChartPanel.Point> points = new ArrayList<>();
    for (int i = 0; i < steps.size(); i += apart) {
      points.add(
          new ChartPanel.Point(
              steps.get(i).number(),
              mean(Math.max(0, i - half), Math.min(steps.size(), i + half + 1), value).value()));
    }
    return points;
  }

  /** Values that are not finite are left out; where there are no others, the curve has a gap. */
  private ChartPanel.Point mean(int from, int to, ToDoubleFunction<Step> value) {
    List<Step> some = steps.subList(from, to);
    return new ChartPanel.Point(
        some.stream().mapToLong(Step::number).average().orElseThrow(),
        some.stream().mapToDouble(value).filter(Double::isFinite).average().orElse(Double.NaN));
  }
}
