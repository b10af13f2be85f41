// active 2, gives 101
OPENQASM 2.0;
include "qelib1.inc";
qreg q[6];
creg c[3];
x q[5];
x q[1];
barrier q;
measure q[5] -> c[2];
measure q[1] -> c[0];
