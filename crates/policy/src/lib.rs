//! IoT and identity policy documents: parse, compile, decide, explain (the PDP); no I/O
