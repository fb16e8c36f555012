// Circuit of a dressed quantum network, between two linear layers; tanh times pi/2 follows the
// first one.
// Source: Mari et al., Quantum 4, 340 (2020), arXiv:1912.08278.
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
// embedding
h q[0];
h q[1];
h q[2];
h q[3];
ry(x0) q[0];
ry(x1) q[1];
ry(x2) q[2];
ry(x3) q[3];
// layer 1
cx q[0], q[1];
cx q[2], q[3];
cx q[1], q[2];
ry(w0) q[0];
ry(w1) q[1];
ry(w2) q[2];
ry(w3) q[3];
// layer 2
cx q[0], q[1];
cx q[2], q[3];
cx q[1], q[2];
ry(w4) q[0];
ry(w5) q[1];
ry(w6) q[2];
ry(w7) q[3];
// layer 3
cx q[0], q[1];
cx q[2], q[3];
cx q[1], q[2];
ry(w8) q[0];
ry(w9) q[1];
ry(w10) q[2];
ry(w11) q[3];
