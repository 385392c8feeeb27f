package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.bench.Curve;
import dev.adafactor.files.OutputPath;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CurveChartTest {
  private static final int BLUE = 0x1F77B4;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource
  void drawsACurveOfOnePlace(Curve curve) throws IOException {
    JsonNode report =
        new JsonMapper()
            .readTree(
                "{\"runs\": [{\"peer\": null, \"median_ms\": 2, \"build_ms\": 9, \"first_step_ms\": 30}]}");
    Path file = folder.resolve("curve.png");
    CurveChart.write(
        new BenchCurve(curve, List.of(new BenchCurve.Point(curve.places().get(0), report))),
        new OutputPath("--chart", file, OutputPath.Kind.FILE));
    BufferedImage picture = ImageIO.read(file.toFile());
    int aboveLegend = picture.getHeight() * 9 / 10;
    assertTrue(
        IntStream.range(0, picture.getWidth() * aboveLegend)
            .map(i -> picture.getRGB(i % picture.getWidth(), i / picture.getWidth()) & 0xFFFFFF)
            .anyMatch(color -> color == BLUE));
  }
}
