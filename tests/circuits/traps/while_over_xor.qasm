// refused: unhandled binary operator
OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
while (c[0] ^ c[1]) {
  c = measure q;
}
