// Memory bridge of a network with eight weights: index qubits in superposition, and a data qubit
// with weight k for index k.
// Source: Mottonen et al., Phys. Rev. Lett. 93, 130502 (2004), arXiv:quant-ph/0404089.
// observables: probabilities
OPENQASM 3.0;
include "stdgates.inc";
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
qubit[4] q;
// index in superposition
h q[0];
h q[1];
h q[2];
// chain of rotations of the data qubit, controls in Gray order
ry(w0) q[3];
cx q[0], q[3];
ry(w1) q[3];
cx q[1], q[3];
ry(w2) q[3];
cx q[0], q[3];
ry(w3) q[3];
cx q[2], q[3];
ry(w4) q[3];
cx q[0], q[3];
ry(w5) q[3];
cx q[1], q[3];
ry(w6) q[3];
cx q[0], q[3];
ry(w7) q[3];
cx q[2], q[3];
