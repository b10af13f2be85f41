// Two Trotter steps of a transverse-field Ising chain of six spins.
OPENQASM 3.0;
include "stdgates.inc";
qubit[6] spin;
bit[6] up;
gate bond(theta) a, b { cx a, b; rz(theta) b; cx a, b; }
for int step in [1:2] {
  bond(0.6) spin[0], spin[1];
  bond(0.6) spin[2], spin[3];
  bond(0.6) spin[4], spin[5];
  bond(0.6) spin[1], spin[2];
  bond(0.6) spin[3], spin[4];
  rx(0.8) spin;
}
up = measure spin;
