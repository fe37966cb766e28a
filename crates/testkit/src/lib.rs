//! Development only: databases of both engines for tests, invented clocks, golden files
