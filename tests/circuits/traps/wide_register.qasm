// active 1, gives 1
OPENQASM 2.0;
include "qelib1.inc";
qreg q[1000];
creg c[1];
x q[999];
measure q[999] -> c[0];
