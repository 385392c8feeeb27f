/**
 * A training job on a SavedModel: its data, batches, loss, steps and results. {@link
 * dev.adafactor.finetune.FineTuning} is where to begin.
 */
package dev.adafactor.finetune;
