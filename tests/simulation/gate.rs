//! Jobs of one resource on a broker without marks.
