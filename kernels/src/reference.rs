//! The shortest loops that can be true: what every kernel is tested against.
