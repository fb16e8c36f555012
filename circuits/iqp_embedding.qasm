// IQP embedding: commuting phases of inputs and of their products between layers of H, then
// trained RX and a ring of CX.
// Source: Havlicek et al., Nature 567, 209 (2019), arXiv:1804.11326; PennyLane's IQPEmbedding.
// observable: IIIZ
// observable: IIZI
// observable: IZII
// observable: ZIII
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2; input float x3;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
gate rzz(theta) a, b {
  cx a, b;
  rz(theta) b;
  cx a, b;
}
qubit[4] q;
// embedding, repetition 1
h q[0];
h q[1];
h q[2];
h q[3];
rz(x0) q[0];
rz(x1) q[1];
rz(x2) q[2];
rz(x3) q[3];
rzz(x0*x1) q[0], q[1];
rzz(x0*x2) q[0], q[2];
rzz(x0*x3) q[0], q[3];
rzz(x1*x2) q[1], q[2];
rzz(x1*x3) q[1], q[3];
rzz(x2*x3) q[2], q[3];
// embedding, repetition 2
h q[0];
h q[1];
h q[2];
h q[3];
rz(x0) q[0];
rz(x1) q[1];
rz(x2) q[2];
rz(x3) q[3];
rzz(x0*x1) q[0], q[1];
rzz(x0*x2) q[0], q[2];
rzz(x0*x3) q[0], q[3];
rzz(x1*x2) q[1], q[2];
rzz(x1*x3) q[1], q[3];
rzz(x2*x3) q[2], q[3];
// trained layer 1
rx(w0) q[0];
rx(w1) q[1];
rx(w2) q[2];
rx(w3) q[3];
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
cx q[3], q[0];
// trained layer 2
rx(w4) q[0];
rx(w5) q[1];
rx(w6) q[2];
rx(w7) q[3];
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
cx q[3], q[0];
