// Quantum convolutional network: convolutions and pooling with shared weights in each layer; the
// output is Z of the last qubit.
// Source: Cong, Choi and Lukin, Nat. Phys. 15, 1273 (2019), arXiv:1810.03994; the tutorial of
// qiskit-machine-learning.
// observable: ZIIIIIII
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2; input float x3;
input float x4; input float x5; input float x6; input float x7;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
input float w12; input float w13; input float w14; input float w15;
input float w16; input float w17;
gate convolution(alpha, beta, gamma) a, b {
  rz(-pi/2) b;
  cx b, a;
  rz(alpha) a;
  ry(beta) b;
  cx a, b;
  ry(gamma) b;
  cx b, a;
  rz(pi/2) a;
}
gate pooling(alpha, beta, gamma) a, b {
  rz(-pi/2) b;
  cx b, a;
  rz(alpha) a;
  ry(beta) b;
  cx a, b;
  ry(gamma) b;
}
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
// layer 1: convolution, one set of weights for all pairs
convolution(w0, w1, w2) q[0], q[1];
convolution(w0, w1, w2) q[2], q[3];
convolution(w0, w1, w2) q[4], q[5];
convolution(w0, w1, w2) q[6], q[7];
convolution(w0, w1, w2) q[1], q[2];
convolution(w0, w1, w2) q[3], q[4];
convolution(w0, w1, w2) q[5], q[6];
convolution(w0, w1, w2) q[7], q[0];
// layer 1: pooling into 4 qubits
pooling(w3, w4, w5) q[0], q[4];
pooling(w3, w4, w5) q[1], q[5];
pooling(w3, w4, w5) q[2], q[6];
pooling(w3, w4, w5) q[3], q[7];
// layer 2: convolution, one set of weights for all pairs
convolution(w6, w7, w8) q[4], q[5];
convolution(w6, w7, w8) q[6], q[7];
convolution(w6, w7, w8) q[5], q[6];
convolution(w6, w7, w8) q[7], q[4];
// layer 2: pooling into 2 qubits
pooling(w9, w10, w11) q[4], q[6];
pooling(w9, w10, w11) q[5], q[7];
// layer 3: convolution, one set of weights for all pairs
convolution(w12, w13, w14) q[6], q[7];
// layer 3: pooling into 1 qubit
pooling(w15, w16, w17) q[6], q[7];
