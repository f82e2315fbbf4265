//! The alerts of the journal as a table of the catalog: a projection, made anew at will.
