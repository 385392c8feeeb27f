package dev.adafactor.cli;

import java.awt.Color;
import java.util.List;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.ChartTheme;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.lines.SeriesLines;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Curves over the steps, or over something else. */
final class ChartPanel {
  private static final int PIXELS_A_LABEL = 90;
  private static final float THIN = 1;
  private static final float THICK = 2;
  private static final int DOT = 7;
  private static final double LEAST_LOGARITHMIC = 0.5;

  /** A value at a step, or between steps. */
  record Point(double step, double value) {}

  private final XYChart chart;

  /**
   * @param name of the y axis
   * @param first step
   * @param last step
   */
  ChartPanel(String name, int width, int height, long first, long last) {
    chart =
        new XYChartBuilder()
            .width(width)
            .height(height)
            .xAxisTitle("step")
            .yAxisTitle(name)
            .theme(ChartTheme.XChart)
            .build();
    XYStyler styler = chart.getStyler();
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setPlotBorderVisible(false);
    styler.setPlotGridLinesColor(new Color(0xDDDDDD));
    styler.setLegendPosition(LegendPosition.OutsideS);
    styler.setLegendLayout(LegendLayout.Horizontal);
    styler.setLegendBorderColor(Color.WHITE);
    styler.setXAxisDecimalPattern("#,##0");
    styler.setXAxisTickMarkSpacingHint(PIXELS_A_LABEL);
    styler.setMarkerSize(DOT);
    double margin = first == last ? 1 : 0;
    styler.setXAxisMin(first - margin);
    styler.setXAxisMax(last + margin);
  }

  /** The panel as it is to be drawn. */
  XYChart chart() {
    chart.getStyler().setLegendVisible(chart.getSeriesMap().size() > 1);
    return chart;
  }

  /** Sets what stands above. */
  ChartPanel title(String title) {
    chart.setTitle(title);
    return this;
  }

  /** Sets what the curves are over, where it is not the steps. */
  ChartPanel over(String title) {
    chart.setXAxisTitle(title);
    return this;
  }

  /** For places from 1 on. */
  ChartPanel logarithmicPlaces() {
    XYStyler styler = chart.getStyler();
    styler.setXAxisLogarithmic(true);
    // The margin around 1, where it is the only place, would reach 0.
    styler.setXAxisMin(Math.max(LEAST_LOGARITHMIC, styler.getXAxisMin()));
    return this;
  }

  /** Begins the y axis at this value. */
  ChartPanel from(double least) {
    chart.getStyler().setYAxisMin(least);
    return this;
  }

  /** Ends the y axis at this value. */
  ChartPanel to(double largest) {
    chart.getStyler().setYAxisMax(largest);
    return this;
  }

  /** For values greater than 0. */
  ChartPanel logarithmic() {
    chart.getStyler().setYAxisLogarithmic(true);
    return this;
  }

  /** Adds a curve. */
  ChartPanel line(String name, Color color, List<Point> points) {
    add(name, color, points).setMarker(SeriesMarkers.NONE).setLineWidth(THICK);
    return this;
  }

  /** Adds a curve for the background. */
  ChartPanel faint(String name, Color color, List<Point> points) {
    add(name, faint(color), points).setMarker(SeriesMarkers.NONE).setLineWidth(THIN);
    return this;
  }

  /** Adds a curve whose points are to be seen. */
  ChartPanel dots(String name, Color color, List<Point> points) {
    add(name, color, points)
        .setMarkerColor(color)
        .setMarker(SeriesMarkers.CIRCLE)
        .setLineWidth(THICK);
    return this;
  }

  private XYSeries add(String name, Color color, List<Point> points) {
    XYSeries series =
        chart.addSeries(
            name,
            points.stream().mapToDouble(Point::step).toArray(),
            points.stream().mapToDouble(Point::value).toArray());
    series.setLineColor(color).setLineStyle(SeriesLines.SOLID);
    return series;
  }

  private static Color faint(Color color) {
    return new Color(faint(color.getRed()), faint(color.getGreen()), faint(color.getBlue()));
  }

  private static int faint(int part) {
    return 255 - (255 - part) * 2 / 5;
  }
}
