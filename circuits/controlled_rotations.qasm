// Controlled rotations: RY and two rings of CRX, among the most expressive circuits of this size.
// Source: Circuit 14 of Sim, Johnson and Aspuru-Guzik, Adv. Quantum Technol. 2, 1900070 (2019),
// arXiv:1905.10876.
// observable: IIIZ
// observable: ZZII
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2; input float x3;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
input float w12; input float w13; input float w14; input float w15;
qubit[4] q;
// encoding
rx(x0) q[0];
rx(x1) q[1];
rx(x2) q[2];
rx(x3) q[3];
// circuit 14, first half
ry(w0) q[0];
ry(w1) q[1];
ry(w2) q[2];
ry(w3) q[3];
crx(w4) q[3], q[0];
crx(w5) q[2], q[3];
crx(w6) q[1], q[2];
crx(w7) q[0], q[1];
// second half
ry(w8) q[0];
ry(w9) q[1];
ry(w10) q[2];
ry(w11) q[3];
crx(w12) q[3], q[2];
crx(w13) q[0], q[3];
crx(w14) q[1], q[0];
crx(w15) q[2], q[1];
