// Matrix product state: one block after another along a chain; the output is Z of its end.
// Source: Huggins et al., Quantum Sci. Technol. 4, 024001 (2019), arXiv:1803.11537.
// observable: ZIIII
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2; input float x3;
input float x4;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
input float w12; input float w13; input float w14; input float w15;
input float w16;
qubit[5] q;
// encoding
ry(x0) q[0];
ry(x1) q[1];
ry(x2) q[2];
ry(x3) q[3];
ry(x4) q[4];
// block 1
ry(w0) q[0];
rz(w1) q[0];
ry(w2) q[1];
rz(w3) q[1];
cx q[0], q[1];
// block 2
ry(w4) q[1];
rz(w5) q[1];
ry(w6) q[2];
rz(w7) q[2];
cx q[1], q[2];
// block 3
ry(w8) q[2];
rz(w9) q[2];
ry(w10) q[3];
rz(w11) q[3];
cx q[2], q[3];
// block 4
ry(w12) q[3];
rz(w13) q[3];
ry(w14) q[4];
rz(w15) q[4];
cx q[3], q[4];
// end of the chain
ry(w16) q[4];
