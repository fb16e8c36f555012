// Hardware-efficient ansatz: RY and RZ on every qubit and a chain of CX, after angle encoding.
// Source: Kandala et al., Nature 549, 242 (2017), arXiv:1704.05047; Qiskit's efficient_su2.
// observable: ZIII
// observable: 0.5 * IIXX + 0.5 * IIYY
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2; input float x3;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
input float w12; input float w13; input float w14; input float w15;
qubit[4] q;
// encoding
ry(x0) q[0];
ry(x1) q[1];
ry(x2) q[2];
ry(x3) q[3];
// rotations 1
ry(w0) q[0];
ry(w1) q[1];
ry(w2) q[2];
ry(w3) q[3];
rz(w4) q[0];
rz(w5) q[1];
rz(w6) q[2];
rz(w7) q[3];
// entangling
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
// rotations 2
ry(w8) q[0];
ry(w9) q[1];
ry(w10) q[2];
ry(w11) q[3];
rz(w12) q[0];
rz(w13) q[1];
rz(w14) q[2];
rz(w15) q[3];
