// QAOA for the largest cut of a square with one diagonal: each weight is the angle of all edges
// or of all vertices. The observable is the size of the cut.
// Source: Farhi, Goldstone and Gutmann (2014), arXiv:1411.4028.
// observable: 2.5 * IIII - 0.5 * IIZZ - 0.5 * IZZI - 0.5 * ZZII - 0.5 * ZIIZ - 0.5 * IZIZ
OPENQASM 3.0;
include "stdgates.inc";
input float w0; input float w1; input float w2; input float w3;
gate rzz(theta) a, b {
  cx a, b;
  rz(theta) b;
  cx a, b;
}
qubit[4] q;
// all cuts in superposition
h q[0];
h q[1];
h q[2];
h q[3];
// layer 1: the graph
rzz(w0) q[0], q[1];
rzz(w0) q[1], q[2];
rzz(w0) q[2], q[3];
rzz(w0) q[3], q[0];
rzz(w0) q[0], q[2];
// layer 1: the mixer
rx(2*w1) q[0];
rx(2*w1) q[1];
rx(2*w1) q[2];
rx(2*w1) q[3];
// layer 2: the graph
rzz(w2) q[0], q[1];
rzz(w2) q[1], q[2];
rzz(w2) q[2], q[3];
rzz(w2) q[3], q[0];
rzz(w2) q[0], q[2];
// layer 2: the mixer
rx(2*w3) q[0];
rx(2*w3) q[1];
rx(2*w3) q[2];
rx(2*w3) q[3];
