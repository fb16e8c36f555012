// Swap test: Z of qubit 0 is the squared overlap of two states of two qubits, the state of the
// sample and a trained state.
// Source: Buhrman et al., Phys. Rev. Lett. 87, 167902 (2001), arXiv:quant-ph/0102001.
// observable: IIIIZ
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2;
input float w0; input float w1; input float w2; input float w3;
qubit[5] q;
// the sample on qubits 1 and 2
ry(x0) q[1];
ry(x1) q[2];
crz(x2) q[1], q[2];
// the trained state on qubits 3 and 4
ry(w0) q[3];
ry(w1) q[4];
crz(w2) q[3], q[4];
cry(w3) q[3], q[4];
// swap test with qubit 0
h q[0];
cswap q[0], q[1], q[3];
cswap q[0], q[2], q[4];
h q[0];
