//! What follows from detections: incidents, playbook runs, recovery tasks, and their effects on the world.
