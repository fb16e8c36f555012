// Simplified two-design: RY and CZ between neighbours. Gradients of a global observable vanish
// with the number of qubits, gradients of a local observable do not.
// Source: Cerezo et al., Nat. Commun. 12, 1791 (2021), arXiv:2001.00550; PennyLane's
// SimplifiedTwoDesign, weights in its order.
// observable: IIZZ
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
// first rotations
ry(w0) q[0];
ry(w1) q[1];
ry(w2) q[2];
ry(w3) q[3];
// layer 1
cz q[0], q[1];
ry(w4) q[0];
ry(w5) q[1];
cz q[2], q[3];
ry(w6) q[2];
ry(w7) q[3];
cz q[1], q[2];
ry(w8) q[1];
ry(w9) q[2];
// layer 2
cz q[0], q[1];
ry(w10) q[0];
ry(w11) q[1];
cz q[2], q[3];
ry(w12) q[2];
ry(w13) q[3];
cz q[1], q[2];
ry(w14) q[1];
ry(w15) q[2];
