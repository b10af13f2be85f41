// active 2, gives 11
OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
sx q[0];
sx q[0];
rzz(pi) q[0], q[1];
p(pi/2) q[1];
x q[1];
measure q -> c;
