// Excitation-preserving ansatz: two particles hop between neighbouring sites and acquire phases;
// their number is constant.
// Source: Barkoutsos et al., Phys. Rev. A 98, 022322 (2018), arXiv:1805.04340; Qiskit's
// excitation_preserving.
// observable: 0.5 * IIXX + 0.5 * IIYY
// observable: IIIZ
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float x1; input float x2; input float x3;
input float w0; input float w1; input float w2; input float w3;
input float w4; input float w5; input float w6; input float w7;
input float w8; input float w9; input float w10; input float w11;
input float w12; input float w13; input float w14; input float w15;
input float w16;
gate xx_plus_yy(alpha, beta) a, b {
  rz(beta) a;
  sdg b;
  sx b;
  s b;
  s a;
  cx b, a;
  ry(-alpha/2) b;
  ry(-alpha/2) a;
  cx b, a;
  sdg a;
  sdg b;
  inv @ sx b;
  s b;
  rz(-beta) a;
}
qubit[4] q;
// two particles on four sites
x q[0];
x q[2];
// layer 1: phases
p(w0 + x0) q[0];
p(w1 + x1) q[1];
p(w2 + x2) q[2];
p(w3 + x3) q[3];
// layer 1: hopping
xx_plus_yy(w4, 0) q[0], q[1];
xx_plus_yy(w5, 0) q[1], q[2];
xx_plus_yy(w6, 0) q[2], q[3];
// layer 2: phases
p(w7 + x0) q[0];
p(w8 + x1) q[1];
p(w9 + x2) q[2];
p(w10 + x3) q[3];
// layer 2: hopping
xx_plus_yy(w11, w12) q[0], q[1];
xx_plus_yy(w13, w14) q[1], q[2];
xx_plus_yy(w15, w16) q[2], q[3];
