//! A playbook walked through without the world: the answers are given, as in its cases and in a dry run.
