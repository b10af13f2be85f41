// active 2, gives 001
OPENQASM 2.0;
include "qelib1.inc";
qreg alice[1];
qreg bob[1];
creg zulu[1];
creg a[2];
x bob[0];
measure bob[0] -> zulu[0];
measure alice[0] -> a[1];
