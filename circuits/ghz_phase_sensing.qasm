// GHZ phase sensing: four entangled qubits acquire four times the phase x0 of a field. The
// expectation value of the parity is cos(w0) cos(4 x0 + w1).
// Source: Bollinger et al., Phys. Rev. A 54, R4649 (1996).
// observable: XXXX
OPENQASM 3.0;
include "stdgates.inc";
input float x0;
input float w0; input float w1;
qubit[4] q;
// GHZ state with trained amplitudes
ry(w0 + pi/2) q[0];
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
// phase of the field on every qubit
rz(x0) q[0];
rz(x0) q[1];
rz(x0) q[2];
rz(x0) q[3];
// trained offset
p(w1) q[0];
