//! Device certificates and certificate authorities: the X.509 part of the iot API
