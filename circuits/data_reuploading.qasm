// Data re-uploading: each layer encodes the inputs again, with trained scales and offsets.
// Source: Perez-Salinas et al., Quantum 4, 226 (2020), arXiv:1907.02085.
// observable: IIZ
// observable: IZI
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
input float w12; input float w13; input float w14; input float w15;
input float w16; input float w17; input float w18; input float w19;
input float w20; input float w21; input float w22; input float w23;
input float w24; input float w25; input float w26;
qubit[3] q;
// layer 1: each angle is weight * input + weight
ry(w0*x0 + w1) q[0];
ry(w2*x1 + w3) q[1];
ry(w4*x2 + w5) q[2];
rz(w6*x0 + w7) q[0];
rz(w8*x1 + w9) q[1];
rz(w10*x2 + w11) q[2];
cz q[0], q[1];
cz q[1], q[2];
cz q[2], q[0];
// layer 2: each angle is weight * input + weight
ry(w12*x0 + w13) q[0];
ry(w14*x1 + w15) q[1];
ry(w16*x2 + w17) q[2];
rz(w18*x0 + w19) q[0];
rz(w20*x1 + w21) q[1];
rz(w22*x2 + w23) q[2];
cz q[0], q[1];
cz q[1], q[2];
cz q[2], q[0];
// last rotations
ry(w24) q[0];
ry(w25) q[1];
ry(w26) q[2];
