/**
 * Learning rate schedules: tf_keras's own, and the interface for a user's.
 *
 * <p>They compute in float32, operation by operation as {@code
 * tf_keras/optimizers/schedules/learning_rate_schedule.py}.
 */
package dev.adafactor.schedules;
