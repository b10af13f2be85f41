// active 3, gives 101
OPENQASM 3.0;
include "stdgates.inc";
qubit[3] q;
bit[2] c;
bit r;
x q[0];
c[0] = measure q[0];
c[1] = measure q[1];
if (c[0] ^ c[1]) {
  x q[2];
}
r = measure q[2];
