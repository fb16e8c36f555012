// Tree tensor network: each level combines pairs of qubits; the output is Z of the root.
// Source: Grant et al., npj Quantum Inf. 4, 65 (2018), arXiv:1804.03680; Huggins et al.,
// Quantum Sci. Technol. 4, 024001 (2019), arXiv:1803.11537.
// observable: ZIIIIIII
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2; input float x3;
input float x4; input float x5; input float x6; input float x7;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
input float w12; input float w13; input float w14;
qubit[8] q;
// encoding
ry(x0) q[0];
ry(x1) q[1];
ry(x2) q[2];
ry(x3) q[3];
ry(x4) q[4];
ry(x5) q[5];
ry(x6) q[6];
ry(x7) q[7];
// level 1
ry(w0) q[0];
ry(w1) q[1];
cx q[0], q[1];
ry(w2) q[2];
ry(w3) q[3];
cx q[2], q[3];
ry(w4) q[4];
ry(w5) q[5];
cx q[4], q[5];
ry(w6) q[6];
ry(w7) q[7];
cx q[6], q[7];
// level 2
ry(w8) q[1];
ry(w9) q[3];
cx q[1], q[3];
ry(w10) q[5];
ry(w11) q[7];
cx q[5], q[7];
// level 3
ry(w12) q[3];
ry(w13) q[7];
cx q[3], q[7];
// root
ry(w14) q[7];
