//! The MQTT door: listeners, sessions, enforcement, routing, retained and offline messages
