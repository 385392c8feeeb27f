package dev.adafactor.schedules;

/**
 * A user's own schedule for the configurations that the program reads. {@link
 * java.util.ServiceLoader} finds its implementations, which a jar names in {@code
 * META-INF/services/dev.adafactor.schedules.ScheduleProvider}: {@code java -cp
 * target/adafactor.jar:mine.jar dev.adafactor.cli.Main fine-tune --optimizer FILE.json …}.
 */
public interface ScheduleProvider {

  /**
   * The name under which Python registered the class: {@code "Package>Name"}, or the name of a
   * class that is not registered.
   */
  String registeredName();

  /**
   * Makes the schedule.
   *
   * @param config what the class's {@code get_config()} gives; arguments that are not asked for are
   *     refused
   */
  LearningRateSchedule create(ConfigReader config);
}
