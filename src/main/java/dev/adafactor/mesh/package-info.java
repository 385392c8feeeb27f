/** Variables in parts on several devices: meshes, layouts, sharded variables, reductions. */
package dev.adafactor.mesh;
