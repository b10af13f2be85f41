"""The sequential quantum network at packet level: q-datagrams, link-level entanglement on demand, swaps and ACKs."""
