// Born machine: the probabilities of the outcomes are the model of a data set.
// Source: Benedetti et al., npj Quantum Inf. 5, 45 (2019), arXiv:1801.07686.
// observables: probabilities
OPENQASM 3.0;
include "stdgates.inc";
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
input float w12; input float w13; input float w14; input float w15;
input float w16; input float w17; input float w18; input float w19;
input float w20; input float w21; input float w22; input float w23;
input float w24; input float w25; input float w26; input float w27;
gate rxx(theta) a, b {
  h a;
  h b;
  cx a, b;
  rz(theta) b;
  cx a, b;
  h b;
  h a;
}
qubit[4] q;
// layer 1: rotations
rx(w0) q[0];
rx(w1) q[1];
rx(w2) q[2];
rx(w3) q[3];
rz(w4) q[0];
rz(w5) q[1];
rz(w6) q[2];
rz(w7) q[3];
// layer 1: every pair
rxx(w8) q[0], q[1];
rxx(w9) q[0], q[2];
rxx(w10) q[0], q[3];
rxx(w11) q[1], q[2];
rxx(w12) q[1], q[3];
rxx(w13) q[2], q[3];
// layer 2: rotations
rx(w14) q[0];
rx(w15) q[1];
rx(w16) q[2];
rx(w17) q[3];
rz(w18) q[0];
rz(w19) q[1];
rz(w20) q[2];
rz(w21) q[3];
// layer 2: every pair
rxx(w22) q[0], q[1];
rxx(w23) q[0], q[2];
rxx(w24) q[0], q[3];
rxx(w25) q[1], q[2];
rxx(w26) q[1], q[3];
rxx(w27) q[2], q[3];
