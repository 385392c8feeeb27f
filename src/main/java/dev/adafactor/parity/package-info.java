/** Case files that record what tf_keras's Adafactor did, their replay, and the judgement on it. */
package dev.adafactor.parity;
