// refused: SwitchStatement
OPENQASM 3.0;
include "stdgates.inc";
qubit q;
bit[2] c;
switch (c) {
  case 0 {
    x q;
  }
}
