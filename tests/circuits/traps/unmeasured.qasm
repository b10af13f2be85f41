// active 3, gives 100
OPENQASM 3.0;
qubit[3] q;
U(pi, 0, pi) q[2];
