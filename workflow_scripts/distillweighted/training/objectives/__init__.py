"""What a step of a student's training computes, one module each: `step` gives losses by name."""
