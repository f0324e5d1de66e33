//! The bare x86-64 back end.
