package dev.adafactor.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.adafactor.bench.Curve;
import dev.adafactor.files.OutputPath;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;

/** A picture of the time of a step over the places of a curve. */
final class CurveChart {
  private static final int WIDTH = 1000;
  private static final int HEIGHT = 500;
  private static final List<Color> COLORS =
      List.of(
          new Color(0x1F77B4),
          new Color(0xD95F02),
          new Color(0x2CA02C),
          new Color(0x9467BD),
          new Color(0x8C564B),
          new Color(0xE377C2),
          new Color(0x7F7F7F),
          new Color(0xBCBD22),
          new Color(0x17BECF));

  private CurveChart() {}

  /** Writes a PNG picture: a line for each optimizer, and ours for building and the first step. */
  static void write(BenchCurve measured, OutputPath file) throws IOException {
    List<BenchCurve.Point> points = measured.points();
    ChartPanel panel =
        new ChartPanel(
                "ms, median",
                WIDTH,
                HEIGHT,
                points.get(0).place(),
                points.get(points.size() - 1).place())
            .title("Time of a step")
            .over(measured.curve().title());
    if (measured.curve() == Curve.THREADS) {
      panel.from(0);
    } else {
      panel.logarithmic().logarithmicPlaces();
    }
    int color = 0;
    for (Map.Entry<String, List<ChartPanel.Point>> line : lines(measured).entrySet()) {
      panel.dots(line.getKey(), COLORS.get(color++ % COLORS.size()), line.getValue());
    }
    BufferedImage picture = BitmapEncoder.getBufferedImage(panel.chart());
    WholeFile.write(file, out -> ImageIO.write(picture, "png", out));
  }

  private static Map<String, List<ChartPanel.Point>> lines(BenchCurve measured) {
    Map<String, List<ChartPanel.Point>> lines = new LinkedHashMap<>();
    for (BenchCurve.Point point : measured.points()) {
      for (JsonNode run : point.report().get("runs")) {
        String name = BenchCurve.name(run);
        add(lines, name, point, run, "median_ms");
        if (run.get("peer").isNull() && measured.curve() == Curve.VARIABLES) {
          add(lines, name + ": build", point, run, "build_ms");
          add(lines, name + ": first step", point, run, "first_step_ms");
        }
      }
    }
    return lines;
  }

  private static void add(
      Map<String, List<ChartPanel.Point>> lines,
      String name,
      BenchCurve.Point point,
      JsonNode run,
      String field) {
    lines
        .computeIfAbsent(name, n -> new ArrayList<>())
        .add(new ChartPanel.Point(point.place(), run.get(field).doubleValue()));
  }
}
