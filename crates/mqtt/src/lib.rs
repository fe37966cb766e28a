//! MQTT 3.1.1 and 5: codec, topic matching, session machine; no I/O
