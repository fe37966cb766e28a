//! What both ends of the wire agree on: reserved topics and their documents; no I/O
