//! What the machine could do at best.
