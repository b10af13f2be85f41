// active 4, gives 1010
OPENQASM 3.0;
include "stdgates.inc";
const uint n = 4;
qubit[n] q;
bit[n] c;
for uint i in [1:2:n - 1] {
  x q[i];
}
for uint i in [0:n - 2] {
  cz q[i], q[i + 1];
}
c = measure q;
