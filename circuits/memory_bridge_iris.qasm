// Memory bridge of a trained network: a linear classifier of iris flowers (4 features, 3 classes)
// in full form. It has no trained weights.
// Source: Mottonen et al., Phys. Rev. Lett. 93, 130502 (2004), arXiv:quant-ph/0404089; Camps and
// Van Beeumen, arXiv:2205.00081.
// observables: probabilities
OPENQASM 3.0;
include "stdgates.inc";
qubit[5] q;
h q[0];
h q[1];
h q[2];
h q[3];
ry(1.6934746536890195) q[4];
cx q[0], q[4];
ry(0.12504599777712194) q[4];
cx q[1], q[4];
ry(0.05567288182427396) q[4];
cx q[0], q[4];
ry(-0.06332555219062419) q[4];
cx q[2], q[4];
ry(-0.08703066390393205) q[4];
cx q[0], q[4];
ry(0.027398294559421416) q[4];
cx q[1], q[4];
ry(-0.009023240069337302) q[4];
cx q[0], q[4];
ry(-0.09572299365397913) q[4];
cx q[3], q[4];
ry(0.16579254540305183) q[4];
cx q[0], q[4];
ry(0.18256982026203705) q[4];
cx q[1], q[4];
ry(0.11159858712723011) q[4];
cx q[0], q[4];
ry(-0.13344262184966765) q[4];
cx q[2], q[4];
ry(-0.1244446875165296) q[4];
cx q[0], q[4];
ry(0.050436090970407216) q[4];
cx q[1], q[4];
ry(-0.03351759262481718) q[4];
cx q[0], q[4];
ry(0.10876712125934607) q[4];
cx q[3], q[4];
