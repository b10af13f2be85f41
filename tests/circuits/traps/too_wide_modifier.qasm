// refused: controls
OPENQASM 3.0;
include "stdgates.inc";
qubit[30] q;
ctrl(20) @ x q[0], q[1];
