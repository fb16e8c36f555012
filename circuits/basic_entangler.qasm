// Basic entangler layers: one RX per qubit and a ring of CX.
// Source: PennyLane's BasicEntanglerLayers; Schuld et al., arXiv:1804.00633.
// observable: IIIZ
// observable: IIZI
// observable: IZII
// observable: ZIII
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2; input float x3;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
qubit[4] q;
// encoding
rx(x0) q[0];
rx(x1) q[1];
rx(x2) q[2];
rx(x3) q[3];
// layer 1
rx(w0) q[0];
rx(w1) q[1];
rx(w2) q[2];
rx(w3) q[3];
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
cx q[3], q[0];
// layer 2
rx(w4) q[0];
rx(w5) q[1];
rx(w6) q[2];
rx(w7) q[3];
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
cx q[3], q[0];
// layer 3
rx(w8) q[0];
rx(w9) q[1];
rx(w10) q[2];
rx(w11) q[3];
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
cx q[3], q[0];
