//! The HTTP door kit: operations, SigV4, authorization, trail, denials, rendering
