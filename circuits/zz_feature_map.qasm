// Classifier with real amplitudes after a ZZ feature map, whose phases are products of inputs.
// Source: Havlicek et al., Nature 567, 209 (2019), arXiv:1804.11326; Qiskit's zz_feature_map and
// real_amplitudes.
// observable: ZZZ
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8;
qubit[3] q;
// feature map, repetition 1
h q[0];
h q[1];
h q[2];
p(2*x0) q[0];
p(2*x1) q[1];
p(2*x2) q[2];
cx q[0], q[1];
p(2*(pi - x0)*(pi - x1)) q[1];
cx q[0], q[1];
cx q[0], q[2];
p(2*(pi - x0)*(pi - x2)) q[2];
cx q[0], q[2];
cx q[1], q[2];
p(2*(pi - x1)*(pi - x2)) q[2];
cx q[1], q[2];
// feature map, repetition 2
h q[0];
h q[1];
h q[2];
p(2*x0) q[0];
p(2*x1) q[1];
p(2*x2) q[2];
cx q[0], q[1];
p(2*(pi - x0)*(pi - x1)) q[1];
cx q[0], q[1];
cx q[0], q[2];
p(2*(pi - x0)*(pi - x2)) q[2];
cx q[0], q[2];
cx q[1], q[2];
p(2*(pi - x1)*(pi - x2)) q[2];
cx q[1], q[2];
// real amplitudes, rotations 1
ry(w0) q[0];
ry(w1) q[1];
ry(w2) q[2];
cx q[0], q[1];
cx q[1], q[2];
// real amplitudes, rotations 2
ry(w3) q[0];
ry(w4) q[1];
ry(w5) q[2];
cx q[0], q[1];
cx q[1], q[2];
// real amplitudes, rotations 3
ry(w6) q[0];
ry(w7) q[1];
ry(w8) q[2];
