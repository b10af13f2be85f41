"""One circuit on several QPUs: who holds which qubit, which gates need a pair, and how they are teleported."""
