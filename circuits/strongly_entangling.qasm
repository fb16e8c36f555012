// Strongly entangling layers: a general rotation of every qubit, then CX over larger distances.
// Source: Schuld et al., Phys. Rev. A 101, 032308 (2020), arXiv:1804.00633; PennyLane's
// StronglyEntanglingLayers, weights in its order.
// observable: IIIZ
// observable: IIZI
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2; input float x3;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
input float w12; input float w13; input float w14; input float w15;
input float w16; input float w17; input float w18; input float w19;
input float w20; input float w21; input float w22; input float w23;
qubit[4] q;
// encoding
rx(x0) q[0];
rx(x1) q[1];
rx(x2) q[2];
rx(x3) q[3];
// layer 1: any rotation of each qubit, then CX over distance 1
U(w1, w2, w0) q[0];
U(w4, w5, w3) q[1];
U(w7, w8, w6) q[2];
U(w10, w11, w9) q[3];
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
cx q[3], q[0];
// layer 2: any rotation of each qubit, then CX over distance 2
U(w13, w14, w12) q[0];
U(w16, w17, w15) q[1];
U(w19, w20, w18) q[2];
U(w22, w23, w21) q[3];
cx q[0], q[2];
cx q[1], q[3];
cx q[2], q[0];
cx q[3], q[1];
