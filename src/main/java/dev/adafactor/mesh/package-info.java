/**
 * Several devices and several processes: variables in parts on the devices of a mesh, batches
 * divided among devices, and sessions on a cluster of TensorFlow's servers.
 */
package dev.adafactor.mesh;
