// active 1, gives 1
OPENQASM 3.0;
include "stdgates.inc";
qubit q;
bit c;
box {
  x q;
  delay[100ns] q;
}
c = measure q;
