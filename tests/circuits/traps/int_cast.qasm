// active 2, gives 101
OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
bit r;
x q[0];
c[0] = measure q[0];
if (int[32](c) == 1) {
  x q[1];
}
r = measure q[1];
